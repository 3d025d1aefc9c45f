-- one row per live team and person in it or in a live team below it
select
    lines.above_id as team_id,
    members.user_id,
    bool_or(lines.above_id = lines.team_id) as is_direct
from {{ ref('stg_live_memberships') }} as members
inner join {{ ref('stg_users') }} as users on users.user_id = members.user_id
inner join {{ ref('stg_team_lines') }} as lines on lines.team_id = members.team_id
where users.status <> 'deactivated'
group by lines.above_id, members.user_id
