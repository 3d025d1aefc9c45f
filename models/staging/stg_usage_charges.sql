-- one row per day, team, tags, model, currency, source of the cost, price and unit
select
    usage.day,
    usage.bucket,
    usage.team_id,
    usage.provider,
    usage.model,
    usage.currency,
    usage.cost_source,
    usage.price_id,
    usage.application,
    usage.environment,
    usage.tags,
    usage.request_count,
    charges.unit,
    charges.quantity,
    charges.unit_price,
    charges.list_unit_price
from {{ ref('stg_priced_usage') }} as usage
cross join
    lateral (
        values
        {% for column in token_classes() -%}
        (
            '{{ column }}', usage.{{ column }}, usage.{{ column }}_price, usage.{{ column }}_list,
            usage.is_by_unit and usage.{{ column }} > 0
        ),
        {% endfor -%}
        (
            'requests', usage.success_count, usage.requests_price, usage.requests_list,
            usage.is_by_unit and usage.success_count > 0 and greatest(usage.requests_price, usage.requests_list) > 0
        ),
        (
            'other_units', null, usage.cost - usage.explained_price, usage.list_cost - usage.explained_list,
            usage.is_by_unit and usage.cost > usage.explained_price
        ),
        (
            'all', nullif(usage.total_tokens, 0), usage.cost, usage.list_cost,
            not usage.is_by_unit and (usage.cost > 0 or usage.total_tokens > 0)
        )
    ) as charges (unit, quantity, unit_price, list_unit_price, is_charged)
where charges.is_charged
