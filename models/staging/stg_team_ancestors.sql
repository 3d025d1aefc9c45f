-- one row per team, live or deleted, and live team above it; a live team is above itself too
select
    team_id,
    is_live,
    root_team_id,
    unnest(path_ids) as ancestor_id
from {{ ref('stg_team_tree') }}
