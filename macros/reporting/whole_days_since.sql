{# Whole days from a time to now, as a number. #}
{% macro whole_days_since(time) -%}
floor(extract(epoch from {{ reporting_now() }} - {{ time }}) / 86400)::integer
{%- endmacro %}
