{# As dbt's, without its warning that a numeric without precision may round: on PostgreSQL it is exact. #}
{% macro postgres__get_empty_schema_sql(columns) %}
    {%- set untyped = columns.values() | rejectattr('data_type') | map(attribute='name') | list -%}
    {%- if untyped %}{{ exceptions.column_type_missing(column_names=untyped) }}{% endif %}
    select
    {% for column in columns.values() -%}
        null::{{ column['data_type'] }} as {{ adapter.quote(column['name']) if column.get('quote') else column['name'] }}{{ ',' if not loop.last }}
    {% endfor -%}
    where false
{% endmacro %}
