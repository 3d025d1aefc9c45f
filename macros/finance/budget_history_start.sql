{# How far back reports on budgets reach: to the start of a year, so that no period of any kind is cut. #}
{% macro budget_history_start() -%}
{{ local_period_start('year', -(var('budget_history_years') | int)) }}
{%- endmacro %}
