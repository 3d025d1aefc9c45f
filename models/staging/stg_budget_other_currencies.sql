-- one row per budget and period of it in which was also spent in other currencies
select
    periods.budget_id,
    periods.period_start,
    array_agg(distinct spending.currency order by spending.currency) as currencies
from {{ ref('stg_budget_periods') }} as periods
inner join {{ ref('stg_budget_days') }} as spending
    on spending.target_kind = periods.target_kind
        and spending.target = periods.target
        and spending.day >= periods.period_start
        and spending.day < periods.period_end
where spending.currency <> periods.currency
group by 1, 2
