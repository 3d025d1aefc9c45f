{#
    dbt's own seeds, safe beside another build: another build may have created the table first, and rows are replaced in the
    node's transaction under the build lock, so readers always see a whole seed and never wait. Nothing is dropped, also
    not on --full-refresh: views read seeds.
#}
{% macro postgres__create_csv_table(model, agate_table) %}
    {% do take_build_lock() %}
    {%- set types = model['config'].get('column_types', {}) -%}
    {%- set columns = [] -%}
    {%- for name in agate_table.column_names -%}
        {%- do columns.append(adapter.quote_seed_column(name, model['config'].get('quote_columns')) ~ ' ' ~ types.get(name, adapter.convert_type(agate_table, loop.index0))) -%}
    {%- endfor -%}
    {{ return(replace_seed_rows('create table if not exists ' ~ this ~ ' (' ~ columns | join(', ') ~ ');')) }}
{% endmacro %}

{% macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) %}
    {% do take_build_lock() %}
    {{ return(replace_seed_rows('')) }}
{% endmacro %}

{% macro replace_seed_rows(first) %}
    {%- set sql = first ~ ' delete from ' ~ this -%}
    {% call statement('_') %}{{ sql }}{% endcall %}
    {{ return(sql) }}
{% endmacro %}

{# dbt's own names the database, and a % in that would be a parameter to the driver. #}
{% macro postgres__load_csv_rows(model, agate_table) %}
    {%- set table = this.include(database=false) -%}
    {%- set columns = get_seed_column_quoted_csv(model, agate_table.column_names) -%}
    {%- set row_of_parameters = '(' ~ (['%s'] * agate_table.column_names | length) | join(', ') ~ ')' -%}
    {%- set statements = [] -%}
    {%- for rows in agate_table.rows | batch(get_batch_size()) -%}
        {%- set bindings = [] -%}
        {%- for row in rows %}{% do bindings.extend(row) %}{% endfor -%}
        {%- set sql = 'insert into ' ~ table ~ ' (' ~ columns ~ ') values ' ~ ([row_of_parameters] * rows | length) | join(', ') -%}
        {%- do adapter.add_query(sql, bindings=bindings, abridge_sql_log=True) -%}
        {%- do statements.append(sql) -%}
    {%- endfor -%}
    {{ return(statements | first) }}
{% endmacro %}
