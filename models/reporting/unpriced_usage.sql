-- one row per day, provider and model with requests that have no cost
select
    u.day,
    u.bucket,
    u.provider,
    u.model,
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
        day,
        bucket,
        provider,
        model,
        sum(request_count)::bigint as requests,
        sum(input_tokens)::bigint as input_tokens,
        sum(cache_read_tokens)::bigint as cache_read_tokens,
        sum(cache_write_tokens)::bigint as cache_write_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(reasoning_tokens)::bigint as reasoning_tokens,
        sum(audio_input_tokens)::bigint as audio_input_tokens,
        sum(audio_output_tokens)::bigint as audio_output_tokens
    from {{ ref('llm_price_daily') }}
    where cost_source = 'unpriced'
    group by day, bucket, provider, model
) as u
{{ estimate_by_nearest_price() }}
