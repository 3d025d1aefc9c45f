-- one row per grant of a role that holds and per API key that can still be used: what a review of access decides on
{% set oldest = reporting_now() ~ " - interval '" ~ var("key_max_age") ~ "'" -%}
{% set unused = reporting_now() ~ " - interval '" ~ var("key_unused_after") ~ "'" -%}
select
    'role' as kind,
    grants.grant_id as item_id,
    grants.user_id,
    people.email,
    people.display_name,
    people.status,
    grants.role_name as item,
    teams.name as team_name,
    grants.role_id in (select privileged.role_id from {{ ref('stg_privileged_roles') }} as privileged) as is_privileged,
    people.mfa_enabled,
    givers.email as granted_by,
    grants.granted_at,
    grants.expires_at,
    greatest(people.last_login_at, usage.last_request_at) as last_used_at,
    array_remove(array[
        case when given.granted_by = given.user_id then 'granted by the account itself' end,
        case when people.status <> 'active' then 'account is not active' end,
        case when not people.mfa_enabled then 'without a second factor' end,
        case
            when greatest(people.last_login_at, usage.last_request_at, people.created_at) < {{ unused }}
                then 'account unused for {{ var("key_unused_after") }}'
        end
    ], null) as issues
from {{ ref('stg_live_grants') }} as grants
inner join {{ ref('users') }} as people on people.id = grants.user_id and people.status <> 'deactivated'
inner join {{ ref('user_roles') }} as given on given.id = grants.grant_id
left join {{ ref('users') }} as givers on givers.id = given.granted_by
left join {{ ref('teams') }} as teams on teams.id = grants.team_id
left join (
    select user_id, max(last_request_at) as last_request_at
    from {{ ref('llm_user_daily') }}
    where user_id is not null
    group by user_id
) as usage on usage.user_id = grants.user_id
union all
select
    'key' as kind,
    keys.id as item_id,
    keys.user_id,
    owners.email as owner_email,
    owners.display_name as owner_name,
    owners.status as owner_status,
    format('%s (%s…)', keys.name, keys.key_prefix) as item,
    teams.name as team_name,
    false as is_privileged,
    owners.mfa_enabled,
    makers.email as granted_by,
    keys.created_at as granted_at,
    keys.expires_at,
    keys.last_used_at,
    array_remove(array[
        case when keys.expires_at is null then 'without expiry' end,
        case when keys.created_at < {{ oldest }} then 'over {{ var("key_max_age") }} old' end,
        case
            when coalesce(keys.last_used_at, keys.created_at) < {{ unused }}
                then 'unused for {{ var("key_unused_after") }}'
        end,
        case
            when owners.id is null then 'without an owner'
            when owners.status <> 'active' then 'owner is not active'
        end
    ], null) as issues
from {{ ref('stg_live_api_keys') }} as live
inner join {{ ref('api_keys') }} as keys on keys.id = live.api_key_id
left join {{ ref('users') }} as owners on owners.id = keys.user_id
left join {{ ref('users') }} as makers on makers.id = keys.created_by
left join {{ ref('teams') }} as teams on teams.id = keys.team_id
