-- one row per policy with an assignment that holds; one to a team covers the teams below it and the people in them
with assignments as (
    select policy_id, team_id, user_id
    from {{ ref('policy_assignments') }}
    where {{ is_current('effective_from', ['expires_at']) }}
),

members as (
    select members.team_id, members.user_id, count(*) over (partition by members.user_id) > 1 as is_in_others
    from {{ ref('stg_live_memberships') }} as members
    inner join {{ ref('stg_users') }} as users on users.user_id = members.user_id
    where users.status <> 'deactivated'
),

covered_teams as (
    select assignments.policy_id, ancestors.team_id, bool_or(assignments.team_id = ancestors.team_id) as is_assigned
    from assignments
    inner join {{ ref('stg_team_ancestors') }} as ancestors on ancestors.ancestor_id = assignments.team_id
    where ancestors.is_live
    group by assignments.policy_id, ancestors.team_id
),

-- people in one team are covered through it alone and count with it
team_coverage as (
    select
        covered_teams.policy_id,
        count(*) filter (where covered_teams.is_assigned) as assigned,
        count(*) as covered,
        sum(crews.user_count) as crew_count
    from covered_teams
    left join (
        select team_id, count(*) as user_count from members where not is_in_others group by team_id
    ) as crews on crews.team_id = covered_teams.team_id
    group by covered_teams.policy_id
),

-- those in several are told apart, so they count once
shared_coverage as (
    select policy_id, count(*) as user_count
    from (
        select distinct covered_teams.policy_id, members.user_id
        from covered_teams
        inner join members on members.team_id = covered_teams.team_id
        where members.is_in_others
    ) as covered
    group by policy_id
),

-- and those assigned themselves add to them unless a team of theirs is covered
user_coverage as (
    select policy_id, count(*) as assigned, count(*) filter (where not is_covered_by_team) as added
    from (
        select direct.policy_id, direct.user_id, bool_or(covered_teams.team_id is not null) as is_covered_by_team
        from assignments as direct
        inner join {{ ref('stg_users') }} as users on users.user_id = direct.user_id
        left join members on members.user_id = users.user_id
        left join covered_teams
            on covered_teams.policy_id = direct.policy_id and covered_teams.team_id = members.team_id
        where users.status <> 'deactivated'
        group by direct.policy_id, direct.user_id
    ) as people
    group by policy_id
)

select
    policies.policy_id,
    coalesce(team_coverage.assigned, 0) as assigned_teams,
    coalesce(team_coverage.covered, 0) as covered_teams,
    coalesce(user_coverage.assigned, 0) as assigned_users,
    (
        coalesce(team_coverage.crew_count, 0)
        + coalesce(shared_coverage.user_count, 0)
        + coalesce(user_coverage.added, 0)
    )::bigint as covered_users
from (select distinct policy_id from assignments) as policies
left join team_coverage on team_coverage.policy_id = policies.policy_id
left join shared_coverage on shared_coverage.policy_id = policies.policy_id
left join user_coverage on user_coverage.policy_id = policies.policy_id
