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
    (unit.price #>> '{}')::numeric as unit_price,
    case line.valid_from
        when 'always' then '-infinity'
        else line.valid_from::timestamp at time zone 'UTC'
    end as valid_from,
    line.valid_to::timestamp at time zone 'UTC' as valid_to,
    line.date_basis,
    line.origin
from {{ ref('model_price_list') }} as line
-- what is a number is a price per unit, but for one column
inner join jsonb_each(to_jsonb(line)) as unit (name, price)
    on jsonb_typeof(unit.price) = 'number' and unit.name <> 'context_above'
where not exists (select from {{ this }})
