{#
    True while the half-open period [from_time, least of the ends) contains now; an end of null is open. Written so that the
    planner knows how many rows that are.
#}
{% macro is_current(from_time, ends) -%}
({{ from_time }} <= {{ reporting_now() }}{% for end in ends %} and ({{ end }} is null or {{ end }} > {{ reporting_now() }}){% endfor %})
{%- endmacro %}
