-- one row per policy with an assignment that holds; one to a team reaches the teams below it and the people in them
with assignments as (
    select policy_id, team_id, user_id
    from {{ ref('policy_assignments') }}
    where {{ holds_now('effective_from', ['expires_at']) }}
),

members as (
    select members.team_id, members.user_id, count(*) over (partition by members.user_id) > 1 as is_in_others
    from {{ ref('stg_live_memberships') }} as members
    inner join {{ ref('stg_users') }} as users on users.user_id = members.user_id
    where users.status <> 'deactivated'
),

reached_teams as (
    select assignments.policy_id, lines.team_id, bool_or(assignments.team_id = lines.team_id) as is_assigned
    from assignments
    inner join {{ ref('stg_team_lines') }} as lines on lines.above_id = assignments.team_id
    where lines.is_live
    group by assignments.policy_id, lines.team_id
),

-- people in one team are reached through it alone and count with it
team_reach as (
    select
        reached_teams.policy_id,
        count(*) filter (where reached_teams.is_assigned) as assigned,
        count(*) as reached,
        sum(crews.user_count) as crew_count
    from reached_teams
    left join (
        select team_id, count(*) as user_count from members where not is_in_others group by team_id
    ) as crews on crews.team_id = reached_teams.team_id
    group by reached_teams.policy_id
),

-- those in several are told apart, so they count once
shared_reach as (
    select policy_id, count(*) as user_count
    from (
        select distinct reached_teams.policy_id, members.user_id
        from reached_teams
        inner join members on members.team_id = reached_teams.team_id
        where members.is_in_others
    ) as reached
    group by policy_id
),

-- and those assigned themselves add to them unless a team of theirs is reached
user_reach as (
    select policy_id, count(*) as assigned, count(*) filter (where not is_reached_by_team) as added
    from (
        select direct.policy_id, direct.user_id, bool_or(reached_teams.team_id is not null) as is_reached_by_team
        from assignments as direct
        inner join {{ ref('stg_users') }} as users on users.user_id = direct.user_id
        left join members on members.user_id = users.user_id
        left join reached_teams
            on reached_teams.policy_id = direct.policy_id and reached_teams.team_id = members.team_id
        where users.status <> 'deactivated'
        group by direct.policy_id, direct.user_id
    ) as people
    group by policy_id
)

select
    policies.policy_id,
    coalesce(team_reach.assigned, 0) as assigned_teams,
    coalesce(team_reach.reached, 0) as reached_teams,
    coalesce(user_reach.assigned, 0) as assigned_users,
    (
        coalesce(team_reach.crew_count, 0) + coalesce(shared_reach.user_count, 0) + coalesce(user_reach.added, 0)
    )::bigint as reached_users
from (select distinct policy_id from assignments) as policies
left join team_reach on team_reach.policy_id = policies.policy_id
left join shared_reach on shared_reach.policy_id = policies.policy_id
left join user_reach on user_reach.policy_id = policies.policy_id
