-- one row per day, API key and currency, as llm_key_daily
select
    usage.day,
    usage.bucket,
    usage.api_key_id,
    api_keys.name as api_key_name,
    api_keys.key_prefix,
    usage.currency,
    {{ usage_of_rollup('usage') }}
from {{ ref('llm_key_daily') }} as usage
left join {{ ref('api_keys') }} as api_keys on api_keys.id = usage.api_key_id
