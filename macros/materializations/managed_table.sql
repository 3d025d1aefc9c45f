{#
    A core table as a model. Its pre-hook creates it (ensure_object); its rows are the rows that must exist:
    with `conflict_key` they are inserted, with `update_columns` kept equal too, both only where `conflict_where` holds.
    Nothing is ever dropped, also not on --full-refresh.
#}
{% materialization managed_table, adapter='postgres' %}
    {%- set relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {% do take_build_lock() %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% set rows_sql = sql %}
    {% if config.get('conflict_key') and may_write_rows(relation, sql) %}{% set rows_sql = insert_rows(relation, sql) %}{% endif %}
    {% call statement('main') %}{{ rows_sql }}{% endcall %}
    {% do assert_no_drift(relation, model) %}
    {% do persist_comments(relation, model) %}
    {% do apply_grants(relation, config.get('grants'), should_revoke=False) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}

{#
    Whether the role may write to the table. One that runs the warehouse may not change what people decide on: it looks whether
    the rows that must exist are there, and says who puts them there.
#}
{% macro may_write_rows(relation, sql) %}
    {%- set name = relation.schema ~ '.' ~ relation.identifier -%}
    {%- if run_query("select has_table_privilege('" ~ name ~ "', 'insert') and has_table_privilege('" ~ name ~ "', 'update')").rows[0][0] %}{{ return(true) }}{% endif -%}
    {%- set update_columns = config.get('update_columns', []) -%}
    {%- set conditions = [] -%}
    {%- for c in config.get('conflict_key') %}{% do conditions.append('excluded.' ~ c ~ ' = existing.' ~ c) %}{% endfor -%}
    {%- set query -%}
        select count(*) from ({{ sql }}
        ) as excluded
        left join {{ relation }} as existing on {{ conditions | join(' and ') }}
        where existing.{{ config.get('conflict_key')[0] }} is null
        {%- if update_columns %}
            or ({{ config.get('conflict_where', 'true') }})
            and ({{ prefixed(update_columns, 'existing') }}) is distinct from ({{ prefixed(update_columns, 'excluded') }})
        {%- endif %}
    {%- endset -%}
    {%- if run_query(query).rows[0][0] -%}
        {{ exceptions.raise_compiler_error(
            name ~ ' lacks rows of this release, and this role may not write them: run `governance build` as ' ~ built_by() ~ ', then build again'
        ) }}
    {%- endif -%}
    {{ return(false) }}
{% endmacro %}

{% macro insert_rows(relation, sql) %}
    {% set update_columns = config.get('update_columns', []) %}
    set local governance.managing_rows = 'on';
    insert into {{ relation }} as existing ({{ get_columns_in_query(sql) | join(', ') }})
    {{ sql }}
    on conflict ({{ config.get('conflict_key') | join(', ') }})
    {% if update_columns %}
        do update set {% for c in update_columns %}{{ c }} = excluded.{{ c }}{{ ', ' if not loop.last }}{% endfor %}
        where {{ config.get('conflict_where', 'true') }}
            and ({{ prefixed(update_columns, 'existing') }}) is distinct from ({{ prefixed(update_columns, 'excluded') }})
    {% else %}
        do nothing
    {% endif %}
{% endmacro %}

{% macro prefixed(columns, prefix) %}
    {%- set out = [] -%}
    {%- for c in columns %}{% do out.append(prefix ~ '.' ~ c) %}{% endfor -%}
    {{ return(out | join(', ')) }}
{% endmacro %}

{# The catalog and the YAML must name the same columns and types; the error names both sides. #}
{% macro assert_no_drift(relation, model, ignored=[]) %}
    {% set query %}
        with declared (name, type) as (
            values {% for c in model.columns.values() %}
            ('{{ c.name }}', format_type('{{ c.data_type }}'::regtype, null)){{ ',' if not loop.last }}
            {%- endfor %}
        ),
        built as (
            select attname::text as name, format_type(atttypid, null) as type
            from pg_attribute
            where attrelid = '{{ relation.include(database=false) }}'::regclass and attnum > 0 and not attisdropped
                and attname not in ('{{ ignored | join("', '") }}')
        )
        select
            coalesce(string_agg(built.name || ' ' || built.type, ', ' order by built.name) filter (where declared.name is null), 'nothing'),
            coalesce(string_agg(declared.name || ' ' || declared.type, ', ' order by declared.name) filter (where built.name is null), 'nothing')
        from built
        full join declared on built.name = declared.name and built.type = declared.type
        where built.name is null or declared.name is null
        having count(*) > 0
    {% endset %}
    {% set drift = run_query(query).rows %}
    {% if drift | length %}
        {{ exceptions.raise_compiler_error(
            relation.include(database=false) ~ ' differs from its YAML. Only in the database: ' ~ drift[0][0] ~ '. Only in the YAML: ' ~ drift[0][1] ~ '.'
        ) }}
    {% endif %}
{% endmacro %}
