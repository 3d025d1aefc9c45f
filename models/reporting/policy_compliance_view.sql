-- one row per policy version
with traffic as (
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
    policies.policy_id,
    policies.slug,
    policies.policy_name,
    policies.policy_type,
    policies.version,
    policies.state = 'in force' as is_active,
    policies.enforcement,
    coalesce(coverage.assigned_teams, 0) as assigned_teams,
    coalesce(coverage.assigned_users, 0) as assigned_users,
    trim_scale(coalesce(coverage.covered_teams, 0)::numeric / nullif(totals.live_teams, 0)) as team_coverage,
    trim_scale(coalesce(coverage.covered_users, 0)::numeric / nullif(totals.live_users, 0)) as user_coverage,
    coalesce(traffic.evaluated, 0) as requests_evaluated,
    coalesce(traffic.flagged, 0) as requests_flagged,
    coalesce(traffic.blocked, 0) as requests_blocked,
    trim_scale(1 - (traffic.flagged + traffic.blocked)::numeric / nullif(traffic.evaluated, 0)) as compliance_rate,
    traffic.last_violation_day,
    policies.state,
    policies.effective_from,
    policies.effective_to
from {{ ref('stg_policies') }} as policies
cross join totals
-- what is not in force covers nobody, whoever it is assigned to
left join {{ ref('stg_policy_coverage') }} as coverage
    on coverage.policy_id = policies.policy_id and policies.state = 'in force'
left join traffic on traffic.policy_id = policies.policy_id
