-- one row per team, live or deleted, and permission that the user who acts has on it now
-- nobody acts where the application has said no user
with actor as (
    select user_id
    from {{ ref('stg_users') }}
    where status = 'active' and user_id = nullif(current_setting('governance.actor_id', true), '')::uuid
)

select distinct
    tree.team_id,
    permissions.resource,
    permissions.action
from actor
inner join {{ ref('stg_live_grants') }} as grants on grants.user_id = actor.user_id
inner join {{ ref('stg_role_permissions') }} as permissions on permissions.role_id = grants.role_id
-- a grant on a team covers those below it, also deleted ones
inner join {{ ref('stg_team_tree') }} as tree on grants.team_id is null or grants.team_id = any(tree.path_ids)
