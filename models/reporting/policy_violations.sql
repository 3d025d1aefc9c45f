-- one row per day, policy version and team with a request that was flagged or blocked
select
    daily.day,
    daily.policy_id,
    policies.slug,
    policies.policy_name,
    policies.policy_type,
    policies.version,
    policies.enforcement,
    daily.team_id,
    teams.name as team_name,
    sum(daily.evaluated_count)::bigint as evaluated,
    sum(daily.flagged_count)::bigint as flagged,
    sum(daily.blocked_count)::bigint as blocked
from {{ ref('llm_policy_daily') }} as daily
left join {{ ref('stg_policies') }} as policies on policies.policy_id = daily.policy_id
left join {{ ref('teams') }} as teams on teams.id = daily.team_id
group by
    daily.day, daily.policy_id, policies.slug, policies.policy_name, policies.policy_type, policies.version,
    policies.enforcement, daily.team_id, teams.name
having sum(daily.flagged_count) + sum(daily.blocked_count) > 0
