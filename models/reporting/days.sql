-- one row per day of reporting_timezone, from the first with usage to the end of next year
with bounds as (
    select
        coalesce(
            (select min(spend.day) from {{ ref('llm_spend_daily') }} as spend), {{ local_period_day('year') }}
        ) as first_day,
        {{ local_period_day('year', 2) }} - 1 as last_day
)

select
    series.day::date as day,
    date_trunc('week', series.day)::date as week,
    date_trunc('month', series.day)::date as month,
    date_trunc('quarter', series.day)::date as quarter,
    date_trunc('year', series.day)::date as year
from bounds
cross join lateral generate_series(bounds.first_day::timestamp, bounds.last_day::timestamp, '1 day') as series (day)
