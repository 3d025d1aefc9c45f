-- one row per day, provider and model with requests that have no cost
select
    u.day,
    u.bucket,
    u.price_provider as provider,
    u.price_model as model,
    u.requests,
    u.input_tokens,
    u.cache_read_tokens,
    u.cache_write_tokens,
    u.output_tokens,
    u.reasoning_tokens,
    u.audio_input_tokens,
    u.audio_output_tokens,
    near.model as nearest_model,
    near.currency as estimate_currency,
    estimate.cost as estimated_cost
from (
    select
        usage.day,
        usage.bucket,
        coalesce(names.canonical_provider, usage.provider) as price_provider,
        coalesce(names.canonical_model, usage.model) as price_model,
        sum(usage.request_count)::bigint as requests,
        sum(usage.input_tokens)::bigint as input_tokens,
        sum(usage.cache_read_tokens)::bigint as cache_read_tokens,
        sum(usage.cache_write_tokens)::bigint as cache_write_tokens,
        sum(usage.output_tokens)::bigint as output_tokens,
        sum(usage.reasoning_tokens)::bigint as reasoning_tokens,
        sum(usage.audio_input_tokens)::bigint as audio_input_tokens,
        sum(usage.audio_output_tokens)::bigint as audio_output_tokens
    from {{ ref('llm_price_daily') }} as usage
    left join {{ ref('stg_model_names') }} as names on names.provider = usage.provider and names.model = usage.model
    where usage.cost_source = 'unpriced'
    group by 1, 2, 3, 4
) as u
{{ estimate_by_nearest_price() }}
