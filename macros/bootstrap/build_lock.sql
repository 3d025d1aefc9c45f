{% macro take_build_lock() %}
    {% call statement('build_lock') %} {{ build_lock_sql() }} {% endcall %}
{% endmacro %}

{% macro build_lock_sql() %}select pg_advisory_xact_lock({{ lock_key('build') }}){% endmacro %}

{# After adapter.commit() dbt sends no BEGIN of its own: what follows would be committed statement by statement. #}
{% macro begin_again() %}
    {% call statement('begin_again') %} begin {% endcall %}
    {% do take_build_lock() %}
{% endmacro %}

{# dbt's own `create schema if not exists` fails when two builds race for it #}
{% macro postgres__create_schema(relation) %}
    {%- if writes_schema() %}{% do assert_database_fits() %}{% endif -%}
    {% call statement('create_schema') %}
        select pg_advisory_xact_lock({{ lock_key('build') }});
        create schema if not exists {{ relation.without_identifier().include(database=false) }}
    {% endcall %}
{% endmacro %}
