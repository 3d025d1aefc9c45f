{#
    What so many seconds cost at the pace of the period so far, of a row of `periods` and its `totals`; null in the first hour,
    whose pace says nothing.
#}
{% macro run_rate(seconds) -%}
case
        when {{ reporting_now() }} - periods.starts_at >= interval '1 hour'
            then totals.spent * {{ seconds }} / extract(epoch from least({{ reporting_now() }}, periods.ends_at) - periods.starts_at)
    end
{%- endmacro %}
