{# Which run of dbt a result is of, so that a report can name the last one. #}
{% macro change_0034_invocation_of_dbt() %}
alter table if exists internal.dbt_results add column if not exists invocation text
{% endmacro %}
