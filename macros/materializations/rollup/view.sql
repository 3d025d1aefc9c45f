{# Columns the model no longer has and a view still reads, with their types: null from now on, gone once nothing reads them. #}
{% macro retired_columns(relation, node) %}
    {% set query %}
        select a.attname, format_type(a.atttypid, a.atttypmod)
        from pg_attribute as a
        where a.attrelid = to_regclass('{{ relation.schema }}.{{ relation.identifier }}')
            and a.attname not in ('{{ node.columns.keys() | join("', '") }}')
            and exists (
                select from pg_depend as d
                inner join pg_rewrite as r on r.oid = d.objid and r.ev_class <> a.attrelid
                where d.classid = 'pg_rewrite'::regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum
            )
        order by a.attnum
    {% endset %}
    {% set found = {} %}
    {% for row in run_query(query).rows %}{% do found.update({row[0]: row[1]}) %}{% endfor %}
    {{ return(found) }}
{% endmacro %}

{# Names and types of the view's columns: those it has in their order, so that new ones can be added in place. #}
{% macro rollup_columns(relation, node, retired) %}
    {% set query %}
        select attname from pg_attribute
        where attrelid = to_regclass('{{ relation.schema }}.{{ relation.identifier }}') and attnum > 0
        order by attnum
    {% endset %}
    {% set columns = {} %}
    {% for name in run_query(query).columns[0].values() %}
        {% if name in retired %}{% do columns.update({name: retired[name]}) %}
        {% elif name in node.columns %}{% do columns.update({name: node.columns[name].data_type}) %}{% endif %}
    {% endfor %}
    {% for column in node.columns.values() if column.name not in columns %}
        {% do columns.update({column.name: column.data_type}) %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}

{#
    Closed buckets as stored, newer ones from the source. The watermark is looked up at run time; the constant beside it, an
    earlier watermark, lets the planner leave out the partitions and chunks below it, of which there are a hundred in two years.
#}
{% macro rollup_view_sql(relation, node, sql, window, retired) %}
    {%- set columns = rollup_columns(relation, node, retired) -%}
    {%- set query -%}
        select
            s.version,
            s.kind,
            to_char(
                date_bin('{{ var("partition_width") }}', nullif(s.watermark, '-infinity'), timestamptz '2000-01-03 00:00+00') at time zone 'UTC',
                'YYYY-MM-DD HH24:MI'
            ),
            (
                select string_agg(format(
                    $$not (bucket >= timestamptz '%s+00' and bucket < timestamptz '%s+00')$$,
                    to_char(lower(k.span) at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
                    to_char(upper(k.span) at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
                ), ' and ' order by k.span)
                from unnest(s.kept) as k (span)
            ),
            to_char(nullif(s.starts_at, '-infinity') at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
            internal.history_query(s.name, {{ text_array(columns.keys()) }}, {{ text_array(columns.values()) }}, {{ text_array(node.config.get('grain')) }})
        from internal.rollup_state as s
        where s.name = '{{ relation.identifier }}'
    {%- endset -%}
    {%- set version, kind, watermark, kept, starts_at, history = run_query(query).rows[0].values() -%}
    {%- set column = node.config.get('time_column', 'time') -%}
    {%- set selected = [] -%}
    {%- for name in columns %}
        {%- do selected.append('null::' ~ retired[name] ~ ' as ' ~ name if name in retired else name) -%}
    {%- endfor -%}
    {%- if history %}{{ history }}
    union all
    {% endif -%}
    select {{ selected | join(', ') }} from {{ stored_name(relation, version) }}
    {#- what older versions keep is neither stored nor live #}
    {%- set kept_apart = (["bucket >= timestamptz '" ~ starts_at ~ "+00'"] if starts_at else []) + ([kept] if kept else []) -%}
    {%- set wheres = kept_apart | list -%}
    {%- if kind == 'continuous_aggregate' %}
        {#- a refresh that is not over yet may have stored later ones; from the constant the planner knows that these are few #}
        {%- set below = "bucket < (select coalesce(max(s.watermark), '-infinity') from internal.rollup_state as s where s.name = '" ~ relation.identifier ~ "')" -%}
        {%- do wheres.append("(bucket < timestamptz '" ~ watermark ~ "+00' or " ~ below ~ ")" if watermark else below) -%}
    {%- endif %}
    {%- if wheres %} where {{ wheres | join(' and ') }}{% endif %}
    {%- set since = '' if not watermark else " and " ~ column ~ " >= timestamptz '" ~ watermark ~ "+00'" -%}
    {#- the planner can't know how few rows are newer, and would start workers. None are where a row's filter asks for what only the
        session itself knows: never needed, for the first half is true. Without a column TimescaleDB 2.23 asks it of each scan, and breaks #}
    {%- set alone = " and (" ~ column ~ " >= timestamptz '-infinity' or pg_backend_pid() is null)" %}
    union all
    select {{ selected | join(', ') }} from (
    {{ portable_ddl(relation, sql) | replace(window, column ~ " >= (select internal.rollup_watermark('" ~ relation.identifier ~ "'))" ~ since ~ alone) }}
    ) as live
    {%- if kept_apart %} where {{ kept_apart | join(' and ') }}{% endif %}
{% endmacro %}
