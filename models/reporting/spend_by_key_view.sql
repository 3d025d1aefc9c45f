-- one row per day, key and currency
with usage as (
    select
        day,
        bucket,
        api_key_id,
        currency,
        sum(request_count)::bigint as request_count,
        sum(success_count)::bigint as success_count,
        {% for column in token_columns() -%}
        sum({{ column }})::bigint as {{ column }},
        {% endfor -%}
        sum(cost_amount) as cost_amount,
        sum(unpriced_request_count)::bigint as unpriced_request_count
    from {{ ref('llm_metrics_daily') }}
    group by day, bucket, api_key_id, currency
)

select
    usage.day,
    usage.bucket,
    usage.api_key_id,
    api_keys.name as api_key_name,
    api_keys.key_prefix,
    usage.currency,
    {{ usage_of_rollup('usage') }}
from usage
left join {{ ref('api_keys') }} as api_keys on api_keys.id = usage.api_key_id
