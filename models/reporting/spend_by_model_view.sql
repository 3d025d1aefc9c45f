-- one row per day, provider, model and currency, as llm_model_daily
select
    usage.day,
    usage.bucket,
    usage.provider,
    usage.model,
    usage.currency,
    {{ usage_of_rollup('usage') }}
from {{ ref('llm_model_daily') }} as usage
