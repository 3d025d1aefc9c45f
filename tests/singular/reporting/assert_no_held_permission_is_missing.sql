-- a live grant to an active account brings at least the role's own permissions
{{ config(meta={'dagster': {'ref': {'name': 'user_permissions_view'}}}) }}
select
    grants.user_id,
    grants.team_id,
    resources.resource,
    actions.action
from {{ ref('user_roles') }} as grants
inner join {{ ref('users') }} as users on users.id = grants.user_id
inner join {{ ref('roles') }} as roles on roles.id = grants.role_id
left join {{ ref('teams') }} as teams on teams.id = grants.team_id
cross join lateral jsonb_each(roles.permissions) as resources (resource, actions)
cross join lateral jsonb_array_elements_text(resources.actions) as actions (action)
where users.status = 'active'
    and teams.deleted_at is null
    and tstzrange(grants.granted_at, least(grants.expires_at, grants.revoked_at)) @> {{ reporting_now() }}
except
select
    user_id,
    team_id,
    resource,
    action
from {{ ref('user_permissions_view') }}
