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
        || ' `governance reprice --unpriced --model %s --reason …`; or have the source send the cost.',
        {{ shell_word('u.model') }}
    ) as fix
from (
    select
        usage.provider,
        usage.model,
        usage.bucket,
        coalesce(min(names.canonical_provider), usage.provider) as price_provider,
        coalesce(min(names.canonical_model), usage.model) as price_model,
        sum(usage.input_tokens) filter (where usage.cost_source = 'unpriced') as input_tokens,
        sum(usage.cache_read_tokens) filter (where usage.cost_source = 'unpriced') as cache_read_tokens,
        sum(usage.cache_write_tokens) filter (where usage.cost_source = 'unpriced') as cache_write_tokens,
        sum(usage.output_tokens) filter (where usage.cost_source = 'unpriced') as output_tokens,
        sum(usage.reasoning_tokens) filter (where usage.cost_source = 'unpriced') as reasoning_tokens,
        sum(usage.audio_input_tokens) filter (where usage.cost_source = 'unpriced') as audio_input_tokens,
        sum(usage.audio_output_tokens) filter (where usage.cost_source = 'unpriced') as audio_output_tokens,
        sum(sum(usage.request_count) filter (where usage.cost_source = 'unpriced')) over of_model as unpriced,
        sum(sum(usage.request_count)) over of_model as requests
    from {{ ref('llm_price_daily') }} as usage
    left join internal.model_names as names on names.provider = usage.provider and names.model = usage.model
    where usage.bucket >= now() - interval '{{ var("usage_window") }}'
    group by usage.provider, usage.model, usage.bucket
    window of_model as (partition by usage.provider, usage.model)
) as u
{{ estimate_by_nearest_price() }}
where u.unpriced > u.requests * {{ var("unpriced_share_allowed") }}
group by u.provider, u.model, u.unpriced, u.requests
