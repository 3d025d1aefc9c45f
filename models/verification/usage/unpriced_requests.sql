-- one row per model of which recent requests have no cost
select
    format('%s/%s', u.provider, u.model) as subject,
    format(
        'What %s of %s requests of the last {{ var("usage_window") }} cost is unknown%s',
        u.unpriced,
        u.requests,
        case
            when coalesce(sum(estimate.cost), 0) = 0 then '.'
            else
                format('; by the price of %s some ', min(near.model))
                || format('%s %s are at stake.', round(sum(estimate.cost), 2), min(near.currency))
        end
    ) as message,
    format(
        'Enter its price and run `governance prices import FILE`, then'
        || ' `governance reprice --unpriced --model %L --reason …`; or have the source send the cost.',
        u.model
    ) as fix
from (
    select
        provider,
        model,
        bucket,
        sum(input_tokens) filter (where cost_source = 'unpriced') as input_tokens,
        sum(cache_read_tokens) filter (where cost_source = 'unpriced') as cache_read_tokens,
        sum(cache_write_tokens) filter (where cost_source = 'unpriced') as cache_write_tokens,
        sum(output_tokens) filter (where cost_source = 'unpriced') as output_tokens,
        sum(reasoning_tokens) filter (where cost_source = 'unpriced') as reasoning_tokens,
        sum(audio_input_tokens) filter (where cost_source = 'unpriced') as audio_input_tokens,
        sum(audio_output_tokens) filter (where cost_source = 'unpriced') as audio_output_tokens,
        sum(sum(request_count) filter (where cost_source = 'unpriced')) over (partition by provider, model) as unpriced,
        sum(sum(request_count)) over (partition by provider, model) as requests
    from {{ ref('llm_price_daily') }}
    where bucket >= now() - interval '{{ var("usage_window") }}'
    group by provider, model, bucket
) as u
{{ estimate_by_nearest_price() }}
where u.unpriced > u.requests * {{ var("unpriced_share_allowed") }}
group by u.provider, u.model, u.unpriced, u.requests
