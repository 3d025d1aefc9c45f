-- one row per team and currency with usage in this month or the last one
with marks as (
    select
        {{ local_period_day('day') }} as today,
        {{ local_period_day('month') }} as this_month,
        {{ local_period_day('month', -1) }} as last_month,
        -- as many days as have ended in this month, or all of a shorter one
        least(
            {{ local_period_day('month', -1) }} + ({{ local_period_day('day') }} - {{ local_period_day('month') }}),
            {{ local_period_day('month') }}
        ) as same_until
),

spending as (
    select
        spend.team_id,
        spend.currency,
        coalesce(sum(spend.request_count) filter (where spend.day >= marks.this_month), 0)::bigint as requests,
        {{ sum_cost_where('spend.cost_amount', 'spend.day >= marks.this_month') }} as cost,
        {{ sum_cost_where('spend.cost_amount', 'spend.day >= marks.this_month and spend.day < marks.today') }}
            as finished_days_cost,
        {{ sum_cost_where('spend.cost_amount', 'spend.day < marks.same_until') }} as last_month_same_days_cost,
        {{ sum_cost_where('spend.cost_amount', 'spend.day < marks.this_month') }} as last_month_cost,
        coalesce(sum(spend.unpriced_request_count) filter (where spend.day >= marks.this_month), 0)::bigint
            as unpriced_requests
    from {{ ref('llm_spend_daily') }} as spend
    cross join marks
    where spend.bucket >= {{ local_period_start('month', -1) }} and spend.bucket < {{ local_period_start('day', 1) }}
    group by 1, 2
)

select
    spending.team_id,
    teams.name as team_name,
    spending.currency,
    marks.this_month as month,
    spending.requests,
    spending.cost,
    spending.finished_days_cost,
    spending.last_month_same_days_cost,
    spending.last_month_cost,
    spending.finished_days_cost - spending.last_month_same_days_cost as change,
    trim_scale(
        (spending.finished_days_cost - spending.last_month_same_days_cost)
        / nullif(spending.last_month_same_days_cost, 0)
    ) as change_share,
    spending.unpriced_requests
from spending
cross join marks
left join {{ ref('teams') }} as teams on teams.id = spending.team_id
