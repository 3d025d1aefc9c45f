{# `dbt run-operation refresh_rollups`: what `governance refresh` and Dagster call too #}
{% macro refresh_rollups() %}
    {% do run_query('call internal.refresh_rollups()') %}
{% endmacro %}
