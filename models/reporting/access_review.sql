-- one row per account that isn't deactivated, with what a reviewer of access has to know
with grants_held as (
    select
        grants.user_id,
        array_agg(distinct grants.role_name order by grants.role_name) as role_names,
        bool_or(grants.role_id in (select known.role_id from {{ ref('stg_privileged_roles') }} as known))
            as is_privileged,
        array_agg(distinct grants.role_name order by grants.role_name) filter (where grants.is_self_granted)
            as self_granted_roles
    from (
        select
            live.user_id,
            live.role_id,
            live.role_name,
            -- who granted it is in the row of the grant
            coalesce(given.granted_by = given.user_id, false) as is_self_granted
        from {{ ref('stg_live_grants') }} as live
        left join {{ ref('user_roles') }} as given
            on given.user_id = live.user_id
                and given.role_id = live.role_id
                and given.team_id is not distinct from live.team_id
                and given.granted_at = live.granted_at
    ) as grants
    group by grants.user_id
),

usage as (
    select user_id, max(last_request_at) as last_request_at
    from {{ ref('llm_user_daily') }}
    where user_id is not null
    group by user_id
)

select
    users.id as user_id,
    users.email,
    users.display_name,
    users.status,
    users.created_at,
    coalesce(grants_held.role_names, '{}') as role_names,
    coalesce(grants_held.is_privileged, false) as is_privileged,
    coalesce(grants_held.self_granted_roles, '{}') as self_granted_roles,
    users.mfa_enabled,
    users.last_login_at,
    usage.last_request_at,
    {{ whole_days_since('greatest(users.last_login_at, usage.last_request_at, users.created_at)') }} as dormant_days
from {{ ref('users') }} as users
left join grants_held on grants_held.user_id = users.id
left join usage on usage.user_id = users.id
where users.status <> 'deactivated'
