-- one row per day, team, tags (with application and environment), model, currency, source of the cost and price
with usage as (
    select
        days.day,
        days.bucket,
        days.team_id,
        coalesce(names.canonical_provider, days.provider) as provider,
        coalesce(names.canonical_model, days.model) as model,
        days.currency,
        -- what a gateway computed is what the source said, as far as our prices go
        case when days.is_by_price then days.cost_source else 'provider' end as cost_source,
        days.price_id,
        days.application,
        days.environment,
        days.tags,
        {% for column in ['request_count', 'success_count'] + token_classes() -%}
        sum(days.{{ column }})::bigint as {{ column }},
        {% endfor -%}
        sum(days.cost_amount) as cost,
        -- what has no list price costs by the list what it costs
        sum(days.cost_amount + coalesce(days.list_cost_amount - days.listed_cost_amount, 0)) as list_cost
    from {{ ref('llm_charge_daily') }} as days
    left join {{ ref('stg_model_names') }} as names on names.provider = days.provider and names.model = days.model
    where days.cost_amount is not null
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
),

priced as (
    select
        usage.*,
        {% for unit in price_units_by_class() -%}
        prices.{{ unit }}_price,
        prices.{{ unit }}_list,
        {% endfor -%}
        prices.has_other_units,
        {% for kind in ['price', 'list'] -%}
        {{ cost_by_units('usage', 'prices', kind) }} as explained_{{ kind }},
        {% endfor -%}
        {{ token_classes() | join(' + ') }} as total_tokens
    from usage
    left join {{ ref('stg_unit_prices') }} as prices on prices.price_id = usage.price_id
)

select
    priced.*,
    -- only where the units make the cost, to the last digit; what is over is for units that the rollup doesn't know
    priced.has_other_units is not null and (
        priced.cost = priced.explained_price
        or (
            priced.cost_source <> 'provider' and priced.has_other_units
            and priced.cost > priced.explained_price and priced.list_cost >= priced.explained_list
        )
    ) as is_by_unit
from priced
