-- one row per team, live or deleted, with its live ancestors from the root, itself last; a deleted team is left out
with recursive tree as (
    select
        id as team_id,
        deleted_at is null as is_live,
        case when deleted_at is null then array[id] else '{}'::uuid[] end as path_ids,
        case when deleted_at is null then name end as path
    from {{ ref('teams') }}
    where parent_team_id is null
    union all
    select
        teams.id,
        teams.deleted_at is null,
        case when teams.deleted_at is null then tree.path_ids || teams.id else tree.path_ids end,
        case when teams.deleted_at is null then concat_ws(' > ', tree.path, teams.name) else tree.path end
    from tree
    inner join {{ ref('teams') }} as teams on teams.parent_team_id = tree.team_id
)

select
    team_id,
    is_live,
    -- the nearest live team above
    path_ids[cardinality(path_ids) - is_live::integer] as parent_team_id,
    path_ids[1] as root_team_id,
    path_ids,
    path,
    -- a deleted team has the path of the live one above it, and comes after it
    row_number() over (order by path_ids, is_live desc) as place
from tree
