-- one row per day, provider, model and currency with tokens that were read from a cache or written to one
{% set cached = '(usage.cache_read_tokens + usage.cache_write_tokens)' -%}
select
    usage.day,
    usage.bucket,
    coalesce(names.canonical_provider, usage.provider) as provider,
    coalesce(names.canonical_model, usage.model) as model,
    usage.currency,
    sum(usage.request_count)::bigint as requests,
    sum(usage.input_tokens)::bigint as input_tokens,
    sum(usage.cache_read_tokens)::bigint as cache_read_tokens,
    sum(usage.cache_write_tokens)::bigint as cache_write_tokens,
    trim_scale(sum(usage.cache_read_tokens) / sum(usage.input_tokens + {{ cached }})) as cache_read_share,
    coalesce(sum({{ cached }}) filter (where prices.price_id is null), 0)::bigint as unpriced_cached_tokens,
    trim_scale(sum(
        usage.cache_read_tokens * prices.cache_read_tokens_price
        + usage.cache_write_tokens * prices.cache_write_tokens_price
    ) filter (where {{ cached }} > 0) * 0.000001) as cached_cost,
    trim_scale(sum({{ cached }} * prices.input_tokens_price) filter (where {{ cached }} > 0) * 0.000001) as fresh_cost,
    trim_scale(sum(
        usage.cache_read_tokens * (prices.input_tokens_price - prices.cache_read_tokens_price)
        + usage.cache_write_tokens * (prices.input_tokens_price - prices.cache_write_tokens_price)
    ) filter (where {{ cached }} > 0) * 0.000001) as saved
from {{ ref('llm_price_daily') }} as usage
left join {{ ref('stg_model_names') }} as names on names.provider = usage.provider and names.model = usage.model
left join {{ ref('stg_unit_prices') }} as prices
    on prices.price_id = usage.price_id and prices.input_tokens_price is not null
group by 1, 2, 3, 4, 5
having sum({{ cached }}) > 0
