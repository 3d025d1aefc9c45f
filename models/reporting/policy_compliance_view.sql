-- one row per policy version; an assignment to a team reaches the teams below it and the people in them
with assignments as (
    select policy_id, team_id, user_id
    from {{ ref('policy_assignments') }}
    where {{ holds_now('effective_from', ['expires_at']) }}
),

reached_teams as (
    select assignments.policy_id, lines.team_id, bool_or(assignments.team_id = lines.team_id) as is_assigned
    from assignments
    inner join {{ ref('stg_team_lines') }} as lines on lines.above_id = assignments.team_id
    where lines.is_live
    group by assignments.policy_id, lines.team_id
),

reached_users as (
    select reached.policy_id, reached.user_id, bool_or(reached.is_assigned) as is_assigned
    from (
        select policy_id, user_id, true as is_assigned from assignments
        union all
        select reached_teams.policy_id, members.user_id, false
        from reached_teams
        inner join {{ ref('stg_live_memberships') }} as members on members.team_id = reached_teams.team_id
    ) as reached
    inner join {{ ref('stg_users') }} as users on users.user_id = reached.user_id
    where users.status <> 'deactivated'
    group by reached.policy_id, reached.user_id
),

team_reach as (
    select policy_id, count(*) filter (where is_assigned) as assigned, count(*) as reached
    from reached_teams
    group by policy_id
),

user_reach as (
    select policy_id, count(*) filter (where is_assigned) as assigned, count(*) as reached
    from reached_users
    group by policy_id
),

traffic as (
    select
        policy_id,
        sum(evaluated_count)::bigint as evaluated,
        sum(flagged_count)::bigint as flagged,
        sum(blocked_count)::bigint as blocked,
        max(day) filter (where flagged_count + blocked_count > 0) as last_violation_day
    from {{ ref('llm_policy_daily') }}
    group by policy_id
),

totals as (
    select
        (select count(*) from {{ ref('teams') }} as teams where teams.deleted_at is null) as live_teams,
        (select count(*) from {{ ref('stg_users') }} as users where users.status <> 'deactivated') as live_users
)

select
    policies.id as policy_id,
    policies.slug,
    policies.name as policy_name,
    policies.policy_type,
    policies.version,
    policies.is_active,
    policies.enforcement,
    coalesce(team_reach.assigned, 0) as assigned_teams,
    coalesce(user_reach.assigned, 0) as assigned_users,
    trim_scale(coalesce(team_reach.reached, 0)::numeric / nullif(totals.live_teams, 0)) as team_coverage,
    trim_scale(coalesce(user_reach.reached, 0)::numeric / nullif(totals.live_users, 0)) as user_coverage,
    coalesce(traffic.evaluated, 0) as requests_evaluated,
    coalesce(traffic.flagged, 0) as requests_flagged,
    coalesce(traffic.blocked, 0) as requests_blocked,
    trim_scale(1 - (traffic.flagged + traffic.blocked)::numeric / nullif(traffic.evaluated, 0)) as compliance_rate,
    traffic.last_violation_day
from {{ ref('policies') }} as policies
cross join totals
left join team_reach on team_reach.policy_id = policies.id
left join user_reach on user_reach.policy_id = policies.id
left join traffic on traffic.policy_id = policies.id
