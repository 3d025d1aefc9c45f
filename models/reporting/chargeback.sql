-- one row per month, team and currency
{% set reporting_currency = var('reporting_currency') or var('default_currency') -%}
with amounts as (
    select
        date_trunc('month', day::timestamp)::date as month,
        team_id,
        currency,
        sum(request_count)::bigint as requests,
        sum(unpriced_request_count)::bigint as unpriced_requests,
        sum(cost_amount) as direct,
        0 as shared,
        0 as adjustment
    from {{ ref('llm_spend_daily') }}
    group by 1, 2, 3
    union all
    select month, team_id, currency, 0, 0, 0, amount, 0
    from {{ ref('stg_shared_costs') }}
    union all
    select month, team_id, currency, 0, 0, 0, 0, amount
    from {{ ref('cost_adjustments') }}
),

charges as (
    select
        month,
        team_id,
        currency,
        sum(requests)::bigint as requests,
        sum(unpriced_requests)::bigint as unpriced_requests,
        case when sum(requests) = sum(unpriced_requests) and sum(requests) > 0 then null else sum(direct) end as direct,
        sum(shared) as shared,
        sum(adjustment) as adjustment
    from amounts
    group by 1, 2, 3
),

totals as (
    select
        charges.*,
        case
            when charges.direct is not null or charges.shared <> 0 or charges.adjustment <> 0
                then coalesce(charges.direct, 0) + charges.shared + charges.adjustment
        end as total
    from charges
)

select
    totals.month,
    teams.cost_center,
    totals.team_id,
    teams.path as team_path,
    totals.currency,
    totals.direct,
    totals.shared,
    totals.adjustment,
    totals.total,
    totals.requests,
    totals.unpriced_requests,
    case when totals.currency = '{{ reporting_currency }}' then totals.total else totals.total * rates.rate end
        as converted_total,
    '{{ reporting_currency }}'::text as converted_currency,
    rates.rate as exchange_rate,
    rates.rate_day as exchange_rate_day,
    rates.origin as exchange_rate_origin
from totals
left join {{ ref('stg_team_cost_centers') }} as teams on teams.team_id = totals.team_id
-- the last one of the month, or before it
left join lateral (
    select exchange_rates.rate, exchange_rates.rate_day, exchange_rates.origin
    from {{ ref('exchange_rates') }} as exchange_rates
    where exchange_rates.from_currency = totals.currency
        and exchange_rates.to_currency = '{{ reporting_currency }}'
        and exchange_rates.rate_day < totals.month + interval '1 month'
    order by exchange_rates.rate_day desc
    limit 1
) as rates on true
