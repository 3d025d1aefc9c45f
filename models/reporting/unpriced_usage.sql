-- one row per day, provider and model with requests that have no cost
select
    u.day,
    u.bucket,
    u.provider,
    u.model,
    u.requests,
    {% for column in token_classes() -%}
    u.{{ column }},
    {% endfor -%}
    near.model as nearest_model,
    near.currency as estimate_currency,
    estimate.cost as estimated_cost
from (
    select
        day,
        bucket,
        provider,
        model,
        sum(request_count)::bigint as requests,
        {% for column in token_classes() -%}
        sum({{ column }})::bigint as {{ column }}{{ ',' if not loop.last }}
        {% endfor -%}
    from {{ ref('llm_price_daily') }}
    where cost_source = 'unpriced'
    group by day, bucket, provider, model
) as u
{{ estimate_by_nearest_price() }}
