-- one row per month, team and currency
{% set reporting_currency = var('reporting_currency') or var('default_currency') -%}
with closing as (
    select coalesce(max(month) + interval '1 month', '-infinity')::date as open_from from {{ ref('closed_periods') }}
),

-- a closed month is as it was closed
amounts as (
    select
        date_trunc('month', day::timestamp)::date as month, team_id, currency, null as cost_center, null as team_path,
        sum(request_count)::bigint as requests, sum(unpriced_request_count)::bigint as unpriced_requests,
        sum(cost_amount) as direct, 0 as shared, 0 as adjustment
    from {{ ref('llm_spend_daily') }} where day >= (select closing.open_from from closing)
    group by 1, 2, 3
    union all
    select month, team_id, currency, null, null, 0, 0, 0, amount, 0
    from {{ ref('stg_shared_costs') }}
    where month >= (select closing.open_from from closing)
    union all
    select month, team_id, currency, null, null, 0, 0, 0, 0, amount
    from {{ ref('cost_adjustments') }}
    where month >= (select closing.open_from from closing)
    union all
    select
        month, team_id, currency, cost_center, team_path, requests, unpriced_requests,
        case kind when 'usage' then amount else 0 end, case kind when 'shared_cost' then amount else 0 end,
        case kind when 'adjustment' then amount else 0 end
    from {{ ref('closed_totals') }}
),

charges as (
    select
        month, team_id, currency, max(cost_center) as closed_cost_center, max(team_path) as closed_path,
        sum(requests)::bigint as requests, sum(unpriced_requests)::bigint as unpriced_requests,
        case when sum(requests) = sum(unpriced_requests) and sum(requests) > 0 then null else sum(direct) end as direct,
        sum(shared) as shared, sum(adjustment) as adjustment
    from amounts
    group by 1, 2, 3
),

totals as (
    select
        charges.*,
        charges.month >= closing.open_from as is_open,
        case
            when charges.direct is not null or charges.shared <> 0 or charges.adjustment <> 0
                then coalesce(charges.direct, 0) + charges.shared + charges.adjustment
        end as total
    from charges cross join closing
)

select
    totals.month,
    case when totals.is_open then teams.cost_center else totals.closed_cost_center end as cost_center,
    totals.team_id,
    case when totals.is_open then teams.path else totals.closed_path end as team_path,
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
    select given.rate, given.rate_day, given.origin
    from {{ ref('exchange_rates') }} as given
    where given.from_currency = totals.currency and given.to_currency = '{{ reporting_currency }}'
        and given.rate_day < totals.month + interval '1 month'
    order by given.rate_day desc
    limit 1
) as rates on true
