-- one row per budget and period that has begun, as far back as budget_history_years
{% set running = 'periods.ends_at > ' ~ reporting_now() -%}
-- a finished day costs what it did, a coming one what its weekday does, today whichever is more
with days as (
    select
        periods.budget_id,
        periods.period_start,
        periods.amount,
        series.day::date as day,
        spending.day is not null as has_usage,
        spending.cost,
        spending.unpriced_requests,
        weekdays.mean_by_weekday is not null as has_shape,
        case
            when series.day < {{ scalar_subquery(local_period_day('day')) }} then coalesce(spending.cost, 0)
            else greatest(spending.cost, weekdays.mean_by_weekday[extract(isodow from series.day)::integer])
        end as likely
    from {{ ref('stg_budget_periods') }} as periods
    -- of timestamps: midnight of a timestamptz may be none in the zone of who reads
    cross join lateral generate_series(periods.period_start::timestamp, periods.period_end - 1, '1 day') as series (day)
    left join {{ ref('stg_budget_days') }} as spending
        on spending.target_kind = periods.target_kind and spending.target = periods.target
            and spending.currency = periods.currency and spending.day = series.day::date
    left join {{ ref('stg_budget_weekdays') }} as weekdays
        on weekdays.target_kind = periods.target_kind and weekdays.target = periods.target
            and weekdays.currency = periods.currency
),

totals as (
    select
        budget_id,
        period_start,
        case when bool_or(has_usage) then sum(cost) else 0 end as spent,
        array_agg(case when has_usage then cost else 0 end order by day)
        filter (where day <= {{ local_period_day('day') }}) as daily_spend,
        case when bool_and(has_shape) then sum(likely) end as likely,
        min(day) filter (where likely_so_far > 0 and likely_so_far >= amount) as runs_out_on,
        coalesce(sum(unpriced_requests), 0)::bigint as unpriced_requests
    from (
        select
            days.*,
            sum(days.likely) over (partition by days.budget_id, days.period_start order by days.day) as likely_so_far
        from days
    ) as running
    group by 1, 2
)

select
    periods.budget_id,
    periods.target_kind,
    periods.target,
    coalesce(teams.name, users.email, keys.name, periods.target) as target_name,
    periods.currency,
    periods.period,
    periods.period_start,
    periods.period_end,
    {{ running }} as is_running,
    periods.amount as limit_amount,
    periods.limits as limits_in_period,
    totals.spent,
    trim_scale(totals.spent / nullif(periods.amount, 0)) as used_share,
    periods.amount - totals.spent as remaining,
    totals.daily_spend,
    trim_scale({{ run_rate('86400') }}) as burn_per_day,
    case
        when {{ running }} then trim_scale({{ run_rate('extract(epoch from periods.ends_at - periods.starts_at)') }})
    end as expected_by_run_rate,
    case when {{ running }} then trim_scale(totals.likely) end as expected_by_weekday,
    totals.runs_out_on,
    totals.unpriced_requests,
    coalesce(others.currencies, '{}') as other_currencies,
    periods.valid_from as limit_valid_from,
    periods.set_by_label as limit_set_by
from {{ ref('stg_budget_periods') }} as periods
inner join totals on totals.budget_id = periods.budget_id and totals.period_start = periods.period_start
left join {{ ref('stg_budget_other_currencies') }} as others
    on others.budget_id = periods.budget_id and others.period_start = periods.period_start
left join {{ ref('teams') }} as teams on periods.target_kind = 'team' and teams.id::text = periods.target
left join {{ ref('stg_users') }} as users on periods.target_kind = 'user' and users.user_id::text = periods.target
left join {{ ref('api_keys') }} as keys on periods.target_kind = 'key' and keys.id::text = periods.target
