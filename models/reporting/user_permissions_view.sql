-- one row per user, scope (a team, or null = everywhere) and permission that holds now
with held as (
    select
        grants.user_id,
        users.email,
        grants.team_id,
        permissions.resource,
        permissions.action,
        permissions.role_slug,
        permissions.inherited_from_role,
        permissions.inheritance_depth,
        grants.granted_at,
        grants.expires_at
    from {{ ref('stg_live_grants') }} as grants
    inner join {{ ref('stg_users') }} as users on users.user_id = grants.user_id
    inner join {{ ref('stg_role_permissions') }} as permissions on permissions.role_id = grants.role_id
    where users.status = 'active'
)

-- of several grants that reach the same permission the one that lasts longest speaks, then the nearest role
select distinct on (user_id, email, team_id, resource, action)
    user_id,
    email,
    team_id,
    resource,
    action,
    role_slug as granted_via_role,
    inherited_from_role,
    inheritance_depth,
    granted_at,
    expires_at,
    array_agg(role_slug) over (partition by user_id, email, team_id, resource, action) as granting_roles
from held
order by user_id, email, team_id, resource, action, expires_at desc nulls first, inheritance_depth, granted_at, role_slug
