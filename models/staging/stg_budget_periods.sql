-- one row per budget and period of it that has begun
{% set zone = var('reporting_timezone') -%}
with held as (
    select
        limits.*,
        case limits.period when 'quarter' then interval '3 months' else ('1 ' || limits.period)::interval end as step,
        date_trunc(
            limits.period,
            greatest(limits.valid_from, {{ budget_history_start() }}) at time zone '{{ zone }}'
        ) as first_start,
        least(limits.valid_to, {{ reporting_now() }}) at time zone '{{ zone }}' as last_start
    from {{ ref('stg_budgets') }} as limits
    where limits.valid_from <= {{ reporting_now() }}
)

-- the limit that held last, of those the period had
select distinct on (held.target_kind, held.target, held.period, held.currency, starts.local_start)
    held.budget_id,
    held.target_kind,
    held.target,
    held.period,
    held.currency,
    held.amount,
    held.set_by,
    held.set_by_label,
    held.valid_from,
    held.valid_to,
    count(*) over (
        partition by held.target_kind, held.target, held.period, held.currency, starts.local_start
    ) as limits,
    starts.local_start::date as period_start,
    (starts.local_start + held.step)::date as period_end,
    starts.local_start at time zone '{{ zone }}' as starts_at,
    (starts.local_start + held.step) at time zone '{{ zone }}' as ends_at
from held
cross join lateral generate_series(held.first_start, held.last_start, held.step) as starts (local_start)
-- one that ended at midnight did not hold on the new day
where starts.local_start < coalesce(held.valid_to at time zone '{{ zone }}', 'infinity')
order by held.target_kind, held.target, held.period, held.currency, starts.local_start, held.valid_from desc
