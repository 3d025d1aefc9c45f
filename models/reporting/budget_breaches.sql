-- one row per threshold of a limit that was crossed in a period
select
    limits.budget_id,
    limits.target_kind,
    limits.target,
    coalesce(teams.name, users.email, keys.name, limits.target) as target_name,
    limits.currency,
    limits.period,
    {{ local_day('crossings.period_starts_at') }} as period_start,
    {{ local_day('crossings.period_ends_at') }} as period_end,
    crossings.threshold,
    limits.amount as limit_amount,
    crossings.crossed_at,
    crossings.crossed_by,
    crossings.request_id,
    crossings.request_cost,
    crossings.spent,
    crossings.found_at
from {{ ref('budget_crossings') }} as crossings
inner join {{ ref('stg_budgets') }} as limits
    on limits.budget_id = coalesce(crossings.team_budget_id, crossings.budget_id)
left join {{ ref('teams') }} as teams on limits.target_kind = 'team' and teams.id::text = limits.target
left join {{ ref('stg_users') }} as users on limits.target_kind = 'user' and users.user_id::text = limits.target
left join {{ ref('api_keys') }} as keys on limits.target_kind = 'key' and keys.id::text = limits.target
