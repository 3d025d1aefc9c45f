-- one row per agreement in force whose price list has no price
select
    agreements.name as subject,
    format(
        'Its price list %s has no price that holds now, so it costs what the list says.', agreements.price_list
    ) as message,
    format(
        'Import its prices with price_list = %s by `governance prices import FILE`, or end it:'
        || ' `update core.price_agreements set valid_to = now() where id = %L`.',
        agreements.price_list,
        agreements.id
    ) as fix
from {{ ref('price_agreements') }} as agreements
where agreements.price_list is not null
    and agreements.valid_from <= now()
    and (agreements.valid_to is null or agreements.valid_to > now())
    and not exists (
        select from {{ ref('model_prices') }} as prices
        where prices.price_list = agreements.price_list
            and prices.superseded_at is null
            and prices.valid_from <= now()
            and (prices.valid_to is null or prices.valid_to > now())
    )
