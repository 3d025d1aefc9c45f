-- one row per policy with an assignment that holds; one to a team covers the teams below it and the people in them
with assignments as (
    select policy_id, team_id, user_id from {{ ref('policy_assignments') }}
    where {{ is_current('effective_from', ['expires_at']) }}
),

-- a list of the few who are deactivated costs less than a join with everyone
left_out as (
    select id as user_id from {{ ref('users') }} where status = 'deactivated'
),

-- also of deleted teams, which nothing covers
members as (
    select team_id, user_id, count(*) over (partition by user_id) > 1 as is_in_others
    from {{ ref('team_members') }}
    where {{ is_current('joined_at', ['left_at']) }} and user_id not in (select left_out.user_id from left_out)
),

covered_teams as (
    select assignments.policy_id, ancestors.team_id, bool_or(assignments.team_id = ancestors.team_id) as is_assigned
    from assignments
    inner join {{ ref('stg_team_ancestors') }} as ancestors
        on ancestors.ancestor_id = assignments.team_id and ancestors.is_live
    group by assignments.policy_id, ancestors.team_id
),

-- each membership counts
team_coverage as (
    select
        covered_teams.policy_id, count(*) filter (where covered_teams.is_assigned) as assigned, count(*) as covered,
        sum(crews.member_count) as member_count
    from covered_teams
    left join (select team_id, count(*) as member_count from members group by team_id) as crews
        on crews.team_id = covered_teams.team_id
    group by covered_teams.policy_id
),

-- before policies come in, for each person has few
memberships_before as materialized (
    select members.user_id, members.team_id, earlier.team_id as earlier_team_id from members
    inner join members as earlier on earlier.user_id = members.user_id and earlier.team_id < members.team_id
    where members.is_in_others and earlier.is_in_others
),

-- but for those of people whom the policy covers through another team already
repeated_coverage as (
    select covered_teams.policy_id, count(distinct row(memberships.team_id, memberships.user_id)) as member_count
    from memberships_before as memberships
    inner join covered_teams on covered_teams.team_id = memberships.team_id
    inner join covered_teams as covered_earlier
        on covered_earlier.team_id = memberships.earlier_team_id and covered_earlier.policy_id = covered_teams.policy_id
    group by covered_teams.policy_id
),

-- and those assigned themselves add to them unless a team of theirs is covered
user_coverage as (
    select policy_id, count(*) as assigned, count(*) filter (where not is_covered_by_team) as added
    from (
        select direct.policy_id, direct.user_id, bool_or(covered_teams.team_id is not null) as is_covered_by_team
        from assignments as direct
        left join members on members.user_id = direct.user_id
        left join covered_teams
            on covered_teams.policy_id = direct.policy_id and covered_teams.team_id = members.team_id
        where direct.user_id is not null and direct.user_id not in (select left_out.user_id from left_out)
        group by direct.policy_id, direct.user_id
    ) as people
    group by policy_id
)

select
    policies.policy_id,
    coalesce(team_coverage.assigned, 0) as assigned_teams,
    coalesce(team_coverage.covered, 0) as covered_teams,
    coalesce(user_coverage.assigned, 0) as assigned_users,
    (coalesce(team_coverage.member_count, 0) - coalesce(repeated_coverage.member_count, 0))::bigint
    + coalesce(user_coverage.added, 0) as covered_users
from (select distinct policy_id from assignments) as policies
left join team_coverage on team_coverage.policy_id = policies.policy_id
left join repeated_coverage on repeated_coverage.policy_id = policies.policy_id
left join user_coverage on user_coverage.policy_id = policies.policy_id
