-- one row per hole between two prices of the same key
select
    concat_ws(
        ', ', format('%s/%s', provider, model), unit, nullif(service_tier, 'standard'), nullif(price_list, 'list')
    ) as subject,
    format(
        'There is no price from %s to %s UTC, between %s and %s %s a million.',
        to_char(valid_to at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
        to_char(next_from at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
        trim_scale(unit_price),
        trim_scale(next_price),
        currency
    ) as message,
    'Import the price of that time with `governance prices import FILE`, then'
    || ' `governance reprice --unpriced --reason …`.' as fix
from (
    select
        provider,
        model,
        unit,
        service_tier,
        price_list,
        currency,
        unit_price,
        valid_to,
        lead(valid_from) over key as next_from,
        lead(unit_price) over key as next_price
    from {{ ref('model_prices') }}
    where superseded_at is null
    window key as (
        partition by price_list, provider, model, unit, service_tier, context_above, region, currency
        order by valid_from
    )
) as prices
where next_from > valid_to
