-- one row per membership that holds now, of an account that isn't deactivated in a team that isn't deleted
select
    team_members.team_id,
    team_members.user_id
from {{ ref('team_members') }} as team_members
inner join {{ ref('teams') }} as teams on teams.id = team_members.team_id
inner join {{ ref('stg_users') }} as users on users.user_id = team_members.user_id
where teams.deleted_at is null
    and users.status <> 'deactivated'
    and {{ holds_now('team_members.joined_at', ['team_members.left_at']) }}
