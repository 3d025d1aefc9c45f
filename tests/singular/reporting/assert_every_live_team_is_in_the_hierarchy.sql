-- a live team without a row, a deleted one with a row, or a row whose line leads over a team that isn't live
{{ config(meta={'dagster': {'ref': {'name': 'team_hierarchy_view'}}}) }}
with live_teams as (
    select array_agg(id) as ids from {{ ref('teams') }} where deleted_at is null
)

select teams.id as team_id
from {{ ref('teams') }} as teams
cross join live_teams
left join {{ ref('team_hierarchy_view') }} as shown on shown.team_id = teams.id
where (teams.deleted_at is null) <> (shown.team_id is not null)
    or not shown.path_ids <@ live_teams.ids
