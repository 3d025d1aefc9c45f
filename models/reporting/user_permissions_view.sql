-- one row per user, scope (a team, or null = everywhere) and permission that holds now
with grants as (
    select
        grants.user_id,
        users.email,
        grants.team_id,
        grants.role_id,
        grants.role_slug,
        grants.granted_at,
        grants.expires_at,
        row_number() over scope as place,
        array_agg(grants.role_slug) over scope as scope_roles
    from {{ ref('stg_live_grants') }} as grants
    inner join {{ ref('stg_users') }} as users on users.user_id = grants.user_id
    where users.status = 'active'
    -- the one that lasts longest first, then the oldest
    window scope as (
        partition by grants.user_id, users.email, grants.team_id
        order by grants.expires_at desc nulls first, grants.granted_at, grants.role_slug
        rows between unbounded preceding and unbounded following
    )
),

permissions as (
    select
        role_id,
        resource,
        action,
        inherited_from_role,
        inheritance_depth,
        array_agg(role_slug) over (partition by resource, action) as roles_with_it
    from {{ ref('stg_role_permissions') }}
)

select
    grants.user_id,
    grants.email,
    grants.team_id,
    permissions.resource,
    permissions.action,
    grants.role_slug as granted_via_role,
    permissions.inherited_from_role,
    permissions.inheritance_depth,
    grants.granted_at,
    grants.expires_at,
    case
        when cardinality(grants.scope_roles) = 1 then grants.scope_roles
        else array(
                select roles.slug
                from unnest(grants.scope_roles) as roles (slug)
                where roles.slug = any(permissions.roles_with_it)
                order by roles.slug
            )
    end as granting_roles
from grants
inner join permissions on permissions.role_id = grants.role_id
-- of several grants that reach the same permission the first one speaks
where grants.place = 1 or not grants.scope_roles[:grants.place - 1] && permissions.roles_with_it
