{# Start of the bucket (hour or day of reporting_timezone) that a time belongs to. #}
{% macro time_bucket(unit, column) -%}
    {%- if has_continuous_aggregates() -%}
    public.time_bucket(interval '1 {{ unit }}', {{ column }})
    {%- else -%}
    date_trunc('{{ unit }}', {{ column }}, '{{ var("reporting_timezone") }}')
    {%- endif -%}
{%- endmacro %}

{# The calendar day of a day bucket in reporting_timezone, as a date that an index can serve. #}
{% macro local_day(bucket) -%}
    ({{ bucket }} at time zone '{{ var("reporting_timezone") }}')::date
{%- endmacro %}

{# The place in a rollup's SQL where the materialization puts the span to aggregate. #}
{% macro in_rollup_window(column) -%}
    ({{ column }} >= '-infinity'::timestamptz and {{ column }} < 'infinity'::timestamptz)
{%- endmacro %}
