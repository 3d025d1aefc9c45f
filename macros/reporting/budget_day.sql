{#
    A day of what a budget limits, as one value to join by: by four the planner merges all but the day, and compares each day with
    every other. The target, which may hold any character, comes last: what stands before it says where it begins.
#}
{% macro budget_day(relation, day) -%}
(({{ day }})::text || {{ relation }}.currency || {{ relation }}.target_kind || ':' || {{ relation }}.target) collate "C"
{%- endmacro %}
