-- one row per price of a token class or unit and span of time; an empty table gets the list that ships
{{ config(pre_hook="{{ ensure_object(this, create_core_model_prices(this)) }}", conflict_key=['id']) }}
select
    line.price_list,
    line.provider,
    line.model,
    unit.name as unit,
    line.service_tier,
    line.context_above,
    line.region,
    line.currency,
    unit.price as unit_price,
    case line.valid_from when 'always' then '-infinity' else line.valid_from::timestamp at time zone 'UTC' end as valid_from,
    line.valid_to::timestamp at time zone 'UTC' as valid_to,
    line.date_basis,
    line.origin
from {{ ref('model_price_list') }} as line
cross join lateral (
    values
    {% for unit in price_units() -%}
    ('{{ unit }}', line.{{ unit }}){{ ',' if not loop.last }}
    {% endfor %}
) as unit (name, price)
where unit.price is not null and not exists (select from {{ this }})
