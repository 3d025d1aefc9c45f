-- one row per provider, source of its costs, day or longer span that it says one sum of, and currency
{% set tolerance = var('reconciliation_tolerance') -%}
with paired as (
    select
        *,
        -- one currency here and another one there, of the same days
        count(*) filter (where their_cost is null) over span = 1
        and count(*) filter (where requests is null) over span = 1 as is_pair,
        max(currency) filter (where their_cost is null) over span as our_currency,
        sum(our_cost) filter (where their_cost is null) over span as cost_to_convert,
        max(currency) filter (where requests is null) over span as their_currency
    from {{ ref('stg_provider_amounts') }}
    window span as (partition by source, provider, zone, first_day, end_day)
),

compared as (
    select
        paired.*,
        rates.rate,
        rates.rate_day,
        rates.origin,
        paired.requests is null and rates.rate is not null as is_converted,
        case when paired.requests is null then trim_scale(paired.cost_to_convert * rates.rate) end as converted_cost,
        coalesce(case when paired.requests is null then paired.cost_to_convert * rates.rate else paired.our_cost end, 0)
        - coalesce(paired.their_cost, 0) as difference
    from paired
    left join lateral (
        select exchange_rates.rate, exchange_rates.rate_day, exchange_rates.origin
        from {{ ref('exchange_rates') }} as exchange_rates
        where paired.is_pair
            and exchange_rates.from_currency = paired.our_currency
            and exchange_rates.to_currency = paired.their_currency
            and exchange_rates.rate_day < paired.end_day
        order by exchange_rates.rate_day desc
        limit 1
    ) as rates on true
    -- where it is converted it isn't missing there
    where not (paired.their_cost is null and rates.rate is not null)
),

bounded as (
    select
        *,
        greatest(abs({{ tolerance }} * their_cost), rounding, 0) as allowed,
        least(abs(difference + lag(difference) over days), abs(difference + lead(difference) over days)) as beside,
        end_day::timestamp at time zone zone + interval '{{ var("late_after") }}' as settled_at
    from compared
    window days as (partition by source, provider, zone, currency order by first_day)
),

judged as (
    select
        *,
        case
            when difference = 0 and coalesce(unpriced_requests, 0) = 0 then 'matched'
            when their_cost is null then 'missing there'
            when requests is null and not is_converted then 'missing here'
            when abs(difference) <= allowed then 'matched'
            else 'differs'
        end as status
    from bounded
)

select
    provider, account, source, first_day as day, end_day, zone, currency, requests, unpriced_requests, our_cost,
    their_cost, their_adjustment, trim_scale(difference) as difference,
    trim_scale(difference / nullif(their_cost, 0)) as difference_share, rounding, {{ tolerance }}::numeric as tolerance,
    status, nullif(concat_ws(
        ', ',
        case when is_converted or (is_pair and status <> 'matched') then 'currency' end,
        case when status = 'differs' and abs(difference + their_adjustment) <= allowed then 'adjustment' end,
        case when difference <> 0 and abs(difference) <= rounding then 'rounding' end,
        case when status <> 'matched' and abs(difference) > allowed and beside <= allowed then 'time zone' end,
        case when status <> 'matched' and unpriced_requests > 0 and difference <= 0 then 'unpriced' end,
        case when status <> 'matched' and difference > 0 and reported_at < settled_at then 'late' end,
        case when status <> 'matched' and difference < 0 and {{ reporting_now() }} < settled_at then 'late' end
    ), '') as explained_by,
    case when is_converted then our_currency end as converted_from,
    converted_cost, rate as exchange_rate, rate_day as exchange_rate_day, origin as exchange_rate_origin, reported_at
from judged
