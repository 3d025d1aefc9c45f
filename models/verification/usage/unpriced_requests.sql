-- one row per model of which recent requests have no cost
select
    format('%s/%s', u.provider, u.model) as subject,
    format('What %s of %s requests of the last {{ var("usage_window") }} cost is unknown', u.unpriced, u.requests)
    || case
        when coalesce(sum(estimate.cost), 0) = 0 then '.'
        else format(
            '; by the price of %s some %s %s are at stake.', min(near.model), round(sum(estimate.cost), 2), min(near.currency)
        )
    end as message,
    format(
        'Enter its price and run `governance prices import FILE`, then `governance reprice --unpriced --model %L --reason …`;'
        || ' or have the source send the cost.',
        u.model
    ) as fix
from (
    select
        provider,
        model,
        bucket,
        {% for column in token_classes() -%}
        sum({{ column }}) filter (where cost_source = 'unpriced') as {{ column }},
        {% endfor -%}
        sum(sum(request_count) filter (where cost_source = 'unpriced')) over (partition by provider, model) as unpriced,
        sum(sum(request_count)) over (partition by provider, model) as requests
    from {{ ref('llm_price_daily') }}
    where bucket >= now() - interval '{{ var("usage_window") }}'
    group by provider, model, bucket
) as u
{{ estimate_by_nearest_price() }}
where u.unpriced > u.requests * {{ var("unpriced_share_allowed") }}
group by u.provider, u.model, u.unpriced, u.requests
