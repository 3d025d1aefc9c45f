-- one row per applied price, with its prices per million units
select
    price_id,
    {% for unit in price_units_by_class() -%}
    max(unit_price) filter (where unit = '{{ unit }}') as {{ unit }}_price,
    max(coalesce(list_unit_price, unit_price)) filter (where unit = '{{ unit }}') as {{ unit }}_list,
    {% endfor -%}
    bool_or(not (
        {%- for unit in price_units_by_class() %}
        unit = '{{ unit }}'{{ ' or' if not loop.last }}
        {%- endfor %}
    )) as has_other_units
from {{ ref('applied_unit_prices') }}
group by price_id
