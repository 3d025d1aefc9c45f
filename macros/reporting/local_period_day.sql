{# The first day of the day, month, quarter or year of reporting_timezone we are in, `ahead` units later, as a date. #}
{% macro local_period_day(unit, ahead=0) -%}
({{ local_period_start(unit, ahead) }} at time zone '{{ var("reporting_timezone") }}')::date
{%- endmacro %}
