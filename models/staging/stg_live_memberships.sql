-- one row per membership that holds now, in a team that isn't deleted
select
    team_members.team_id,
    team_members.user_id,
    teams.name as team_name
from {{ ref('team_members') }} as team_members
inner join {{ ref('teams') }} as teams on teams.id = team_members.team_id
where teams.deleted_at is null
    and {{ is_current('team_members.joined_at', ['team_members.left_at']) }}
