{# `dbt run-operation refresh_rollups`: refreshes every rollup, as `governance refresh` does, but does not try again where a policy refreshes the same one #}
{% macro refresh_rollups() %}
    {% do run_query('call internal.refresh_rollups()') %}
{% endmacro %}
