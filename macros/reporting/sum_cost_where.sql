{#
    What was spent where a condition holds: 0 without any request, null where requests exist but none has a price.
    `cost` is a column that is null for unpriced usage.
#}
{% macro sum_cost_where(cost, condition) -%}
case when count(*) filter (where {{ condition }}) > 0 then sum({{ cost }}) filter (where {{ condition }}) else 0 end
{%- endmacro %}
