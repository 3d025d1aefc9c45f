{#
    Joins to unpriced usage `u`, whose price_provider and price_model are the canonical names, what it would cost by the list price of the model of the same provider whose name is most
    alike, as `near` (model, currency) and `estimate` (cost). Never added to a cost.
#}
{% macro estimate_by_nearest_price() -%}
left join lateral (
    select
        p.model,
        p.currency
    from {{ ref('model_prices') }} as p
    where p.provider = u.price_provider
        and p.price_list = 'list'
        and p.superseded_at is null
        and p.unit = 'input_tokens'
        and p.service_tier = 'standard'
        and p.context_above = 0
        and p.region is null
        and p.valid_from <= u.bucket
        and (p.valid_to is null or p.valid_to > u.bucket)
    order by similarity(lower(p.model), lower(u.price_model)) desc, p.model, p.currency
    limit 1
) as near on true
left join lateral (
    select trim_scale(({% for column in token_classes() -%}
        u.{{ column }} * coalesce(prices.{{ column }}, prices.{{ class_billed_as(column) }}, 0){{ ' + ' if not loop.last }}
    {%- endfor %}) * 0.000001) as cost
    from (
        select {% for column in token_classes() -%}
            max(p.unit_price) filter (where p.unit = '{{ column }}') as {{ column }}{{ ', ' if not loop.last }}
        {%- endfor %}
        from {{ ref('model_prices') }} as p
        where p.provider = u.price_provider
            and p.model = near.model
            and p.currency = near.currency
            and p.price_list = 'list'
            and p.superseded_at is null
            and p.service_tier = 'standard'
            and p.context_above = 0
            and p.region is null
            and p.valid_from <= u.bucket
            and (p.valid_to is null or p.valid_to > u.bucket)
    ) as prices
    where near.model is not null
) as estimate on true
{%- endmacro %}
