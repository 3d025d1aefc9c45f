-- one row per team, live or deleted, and permission that the user who acts has on it now
-- who may read all teams anyway, as an application, is believed who acts; anybody else is who they log in as
with actor as (
    select user_id
    from {{ ref('stg_users') }}
    where status = 'active' and user_id = (
            select
                case
                    when bool_and(
                            coalesce(has_table_privilege(session_user, to_regclass(report)::oid, 'select'), false)
                        )
                        then nullif(current_setting('governance.actor_id', true), '')::uuid
                    else (
                        select own.user_id
                        from {{ ref('stg_users') }} as own
                        where lower(own.email) = lower(session_user::text)
                    )
                end
            from unnest(array['reporting.spend_by_team_view', 'reporting.access_review']) as reports (report)
        )
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
