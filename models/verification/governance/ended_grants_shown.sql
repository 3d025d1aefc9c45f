-- one row per user and role whose permissions are shown although no grant holds
select distinct
    format('%s as %s', shown.email, shown.granted_via_role) as subject,
    'The report of permissions shows the role, and no grant of it holds now.' as message,
    'Run `governance build`, which restores the report, and refuse what was allowed by it.' as fix
from {{ ref('user_permissions_view') }} as shown
where not exists (
        select from {{ ref('user_roles') }} as grants
        inner join {{ ref('roles') }} as roles on roles.id = grants.role_id
        inner join {{ ref('users') }} as users on users.id = grants.user_id
        where grants.user_id = shown.user_id
            and roles.slug = shown.granted_via_role
            and grants.team_id is not distinct from shown.team_id
            and users.status = 'active'
            and {{ is_current('grants.granted_at', ['grants.expires_at', 'grants.revoked_at']) }}
    )
