-- in each currency each of the newest days of the report adds up to the requests, to the last digit; the rollup below
-- it is compared with older requests in rotation (docs/rules/rollups.md)
{{ config(meta={'dagster': {'ref': {'name': 'cost_summary_view'}}}) }}
{%- set first_whole_day = scalar_subquery(time_bucket('day', "internal.raw_floor('llm_metrics') + interval '1 day'")) %}
with reported as (
    select
        day,
        currency,
        sum(requests) as requests,
        sum(successful_requests) as successful_requests,
        sum(total_tokens) as total_tokens,
        sum(cost) as cost,
        sum(unpriced_requests) as unpriced_requests
    from {{ ref('cost_summary_view') }}
    where bucket >= {{ verified_from() }}
        and bucket >= {{ first_whole_day }}
    group by day, currency
),

requested as (
    select
        {{ local_day('time') }} as day,
        currency,
        count(*) as requests,
        count(*) filter (where status = 'success') as successful_requests,
        sum(total_tokens) as total_tokens,
        sum(cost_amount) as cost,
        count(*) filter (where cost_amount is null) as unpriced_requests
    from {{ ref('llm_metrics') }}
    where time >= {{ verified_from() }}
        and time >= {{ first_whole_day }}
    group by {{ local_day('time') }}, currency
),

told_twice as (
    select * from reported
    union all
    select * from requested
)

select day, currency, requests, successful_requests, total_tokens, cost, unpriced_requests
from told_twice
group by day, currency, requests, successful_requests, total_tokens, cost, unpriced_requests
having
    count(*) <> 2
    -- raw rows that were dropped by hand are in the report all the same
    and not exists (
        select from internal.time_series as series
        where series.name = 'llm_metrics'
            and series.gone && tstzrange(
                told_twice.day::timestamp at time zone '{{ var("reporting_timezone") }}',
                (told_twice.day + 1)::timestamp at time zone '{{ var("reporting_timezone") }}'
            )
    )
