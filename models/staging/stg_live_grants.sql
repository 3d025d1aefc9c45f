-- one row per grant of a role that holds now; a grant on a deleted team holds no more
select
    user_roles.id as grant_id,
    user_roles.user_id,
    user_roles.team_id,
    user_roles.role_id,
    roles.slug as role_slug,
    roles.name as role_name,
    user_roles.granted_at,
    least(user_roles.expires_at, user_roles.revoked_at) as expires_at
from {{ ref('user_roles') }} as user_roles
inner join {{ ref('roles') }} as roles on roles.id = user_roles.role_id
left join {{ ref('teams') }} as teams on teams.id = user_roles.team_id
where teams.deleted_at is null
    and {{ is_current('user_roles.granted_at', ['user_roles.expires_at', 'user_roles.revoked_at']) }}
