{#
    A day of what a budget limits, as one value to join by: by four the planner merges all but the day, and compares each day with
    every other.
#}
{% macro budget_day(relation, day) -%}
array[{{ relation }}.target_kind, {{ relation }}.target, {{ relation }}.currency, {{ day }}::text]
{%- endmacro %}
