-- one row per target of a budget and currency with usage in the last 28 finished days
with recent as (
    select target_kind, target, currency, day, cost
    from {{ ref('stg_budget_days') }}
    where day >= {{ scalar_subquery(local_period_day('day', -28)) }}
        and day < {{ scalar_subquery(local_period_day('day')) }}
),

seen as (
    select target_kind, target, currency, min(day) as first_day
    from recent
    group by 1, 2, 3
),

-- a day without requests costs nothing and counts
days as (
    select
        seen.target_kind,
        seen.target,
        seen.currency,
        extract(isodow from series.day)::integer as weekday,
        coalesce(spending.cost, 0) as cost
    from seen
    cross join
        lateral generate_series(
            seen.first_day::timestamp, {{ local_period_day('day', -1) }}, interval '1 day'
        ) as series (day)
    left join recent as spending
        on {{ budget_day('spending', 'spending.day') }} = {{ budget_day('seen', 'series.day::date') }}
),

means as (
    select target_kind, target, currency, avg(cost) as mean
    from days
    group by 1, 2, 3
)

-- a weekday that was not among them yet is taken for a mean day
select
    means.target_kind,
    means.target,
    means.currency,
    array_agg(coalesce(weekdays.mean, means.mean) order by numbers.weekday) as mean_by_weekday
from means
cross join generate_series(1, 7) as numbers (weekday)
left join (
    select target_kind, target, currency, weekday, avg(cost) as mean
    from days
    group by 1, 2, 3, 4
) as weekdays
    on weekdays.target_kind = means.target_kind and weekdays.target = means.target
        and weekdays.currency = means.currency and weekdays.weekday = numbers.weekday
group by 1, 2, 3
