-- one row per team, live or deleted, with the cost center it is charged to
with recursive tree as (
    select id as team_id, cost_center, name as path
    from {{ ref('teams') }}
    where parent_team_id is null
    union all
    select teams.id, coalesce(teams.cost_center, tree.cost_center), tree.path || ' > ' || teams.name
    from tree
    inner join {{ ref('teams') }} as teams on teams.parent_team_id = tree.team_id
)

select team_id, cost_center, path
from tree
