-- one row per account that came or went, membership that began or ended, and role that was granted or ended
with events as (
    select
        created_at as happened_at,
        'account created' as event,
        id as user_id,
        null::uuid as team_id,
        null::uuid as role_id,
        null::uuid as by_user_id
    from {{ ref('users') }}
    union all
    select coalesce(deleted_at, updated_at), 'account deactivated', id, null, null, null
    from {{ ref('users') }}
    where status = 'deactivated'
    union all
    select joined_at, 'joined team', user_id, team_id, null, null
    from {{ ref('team_members') }}
    union all
    select left_at, 'left team', user_id, team_id, null, null
    from {{ ref('team_members') }}
    where left_at is not null
    union all
    select granted_at, 'role granted', user_id, team_id, role_id, granted_by
    from {{ ref('user_roles') }}
    union all
    select
        least(revoked_at, expires_at),
        case when revoked_at <= coalesce(expires_at, revoked_at) then 'role revoked' else 'role expired' end,
        user_id, team_id, role_id, null
    from {{ ref('user_roles') }}
    where revoked_at is not null or expires_at is not null
)

select
    events.happened_at,
    events.event,
    events.user_id,
    users.email,
    users.display_name,
    events.team_id,
    teams.name as team_name,
    roles.name as role_name,
    givers.email as granted_by,
    coalesce(events.by_user_id = events.user_id, false) as is_self_granted
from events
inner join {{ ref('users') }} as users on users.id = events.user_id
left join {{ ref('teams') }} as teams on teams.id = events.team_id
left join {{ ref('roles') }} as roles on roles.id = events.role_id
left join {{ ref('users') }} as givers on givers.id = events.by_user_id
where events.happened_at <= {{ reporting_now() }}
