{#
    Start of the hour, day, month, quarter or year of reporting_timezone we are in, `ahead` units later (negative:
    earlier). A timestamptz that is constant within a statement, so indexes and partitions can serve it.
    "Last 7 days" is `>= local_period_start('day', -6)` and `< local_period_start('day', 1)`.
#}
{% macro local_period_start(unit, ahead=0) -%}
{%- set step = '3 months' if unit == 'quarter' else '1 ' ~ unit -%}
((date_trunc('{{ unit }}', {{ reporting_now() }} at time zone '{{ var("reporting_timezone") }}')
    {%- if ahead %} + {{ ahead }} * interval '{{ step }}'{% endif %}) at time zone '{{ var("reporting_timezone") }}')
{%- endmacro %}
