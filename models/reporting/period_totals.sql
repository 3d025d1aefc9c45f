-- one row per month, kind, team, provider, model and currency
with amounts as (
    select
        date_trunc('month', day::timestamp)::date as month,
        'usage' as kind,
        team_id,
        provider,
        model,
        currency,
        sum(request_count)::bigint as requests,
        sum(unpriced_request_count)::bigint as unpriced_requests,
        sum(cost_amount) as amount,
        null::numeric as closed,
        null::numeric as adjusted
    from {{ ref('llm_team_daily') }}
    group by 1, 3, 4, 5, 6
    union all
    select month, 'shared_cost', team_id, null, null, currency, 0, 0, amount, null, null
    from {{ ref('stg_shared_costs') }}
    union all
    select month, 'adjustment', team_id, null, null, currency, 0, 0, amount, null, null
    from {{ ref('cost_adjustments') }}
    union all
    select month, kind, team_id, provider, model, currency, 0, 0, null, coalesce(amount, 0), null
    from {{ ref('closed_totals') }}
    union all
    select corrects_month, kind, team_id, provider, model, currency, 0, 0, null, null, amount
    from {{ ref('cost_adjustments') }}
    where kind <> 'entered'
),

totals as (
    select
        month,
        kind,
        team_id,
        provider,
        model,
        currency,
        sum(requests)::bigint as requests,
        sum(unpriced_requests)::bigint as unpriced_requests,
        sum(amount) as amount,
        sum(closed) as closed_amount,
        sum(adjusted) as adjusted
    from amounts
    group by 1, 2, 3, 4, 5, 6
)

select
    totals.month,
    closing.last_month is not null as is_closed,
    totals.kind,
    teams.cost_center,
    totals.team_id,
    teams.path as team_path,
    totals.provider,
    totals.model,
    totals.currency,
    totals.requests,
    totals.unpriced_requests,
    totals.amount,
    totals.closed_amount,
    totals.adjusted,
    case
        when closing.last_month is not null
            then coalesce(totals.amount, 0) - coalesce(totals.closed_amount, 0) - coalesce(totals.adjusted, 0)
    end as difference
from totals
left join (select max(month) as last_month from {{ ref('closed_periods') }}) as closing
    on totals.month <= closing.last_month
left join {{ ref('stg_team_cost_centers') }} as teams on teams.team_id = totals.team_id
