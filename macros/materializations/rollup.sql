{#
    A rollup: closed buckets stored in <rollup>_stored, newer ones computed from the source when asked, one view over both.
    Config: bucket (hour, day), source (the time-series table), time_column (of what it reads), parent (the rollup it
    reads, if any), stored_indexes (lists of columns), compress_orderby. The model's SQL holds `where {{ in_rollup_window(column) }}`.
    A build refreshes it; nothing is ever dropped, also not on --full-refresh.
#}
{% materialization rollup, adapter='postgres' %}
    {%- set relation = this.incorporate(type='view') -%}
    {%- set window = in_rollup_window(config.get('time_column', 'time')) -%}
    {% if window not in sql %}
        {{ exceptions.raise_compiler_error(this ~ ' needs `where {{ in_rollup_window("<time column>") }}` in its SQL') }}
    {% endif %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {% do take_build_lock() %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% set kind = 'continuous_aggregate' if has_continuous_aggregates() else 'incremental' %}
    {% do assert_same_definition(relation, sql, kind) %}
    {% if kind == 'continuous_aggregate' %}
        {% call statement('main') %}{{ ensure_object(relation, create_continuous_aggregate(relation, sql, window)) | trim or 'select 1' }}{% endcall %}
        {#- always current without it; a refresh by a build could meet the one of the policy, which TimescaleDB refuses #}
    {% else %}
        {% call statement('main') %}{{ ensure_object(relation, create_rollup(relation, sql, window)) | trim or 'select 1' }}{% endcall %}
        {{ adapter.commit() }}
        {% do run_query("call internal.refresh_rollup('" ~ relation.identifier ~ "')") %}
        {% do take_build_lock() %}
        {% call statement('view') %}{{ replace_view_in_place(relation, rollup_view_sql(relation, sql, window)) }}{% endcall %}
    {% endif %}
    {% do assert_no_drift(relation, model) %}
    {% do persist_comments(relation, model) %}
    {% do apply_grants(relation, config.get('grants'), should_revoke=False) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}

{% macro rollup_definition(relation, sql) %}
    {{ return(local_md5(portable_ddl(relation, sql).split() | join(' '))) }}
{% endmacro %}

{% macro assert_same_definition(relation, sql, kind) %}
    {% set query = "select definition, kind from internal.rollup_state where name = '" ~ relation.identifier ~ "'" %}
    {% set state = run_query(query).rows %}
    {% if state | length and state[0][1] != kind %}
        {{ exceptions.raise_compiler_error(
            relation.include(database=false) ~ ' was built as ' ~ state[0][1] ~ ', and this database would build it as ' ~ kind ~ '; run `governance rebuild-rollups` to build it anew as far back as raw rows reach'
        ) }}
    {% endif %}
    {% if state | length and state[0][0] != rollup_definition(relation, sql) %}
        {{ exceptions.raise_compiler_error(
            'the definition of ' ~ relation.include(database=false) ~ ' changed since its buckets were stored; run `governance rebuild-rollups` to build it anew as far back as raw rows reach'
        ) }}
    {% endif %}
{% endmacro %}

{#
    Closed buckets as stored, newer ones from the source. The watermark is looked up at run time; the constant beside it, an
    earlier watermark, lets the planner leave out the partitions below it, of which there are a hundred in two years.
#}
{% macro rollup_view_sql(relation, sql, window) %}
    {%- set column = config.get('time_column', 'time') -%}
    {%- set columns = model.columns.keys() | join(', ') -%}
    {%- set query -%}
        select to_char(
            date_bin('{{ var("partition_width") }}', watermark, timestamptz '2000-01-03 00:00+00') at time zone 'UTC',
            'YYYY-MM-DD HH24:MI'
        )
        from internal.rollup_state
        where name = '{{ relation.identifier }}' and parent is null and isfinite(watermark)
    {%- endset -%}
    {%- set known = run_query(query).rows -%}
    {%- set since = " and " ~ column ~ " >= timestamptz '" ~ known[0][0] ~ "+00'" if known | length else '' -%}
    select {{ columns }} from {{ relation.schema }}.{{ relation.identifier }}_stored
    union all
    select {{ columns }} from (
    {{ portable_ddl(relation, sql) | replace(window, column ~ " >= (select coalesce(max(s.watermark), '-infinity') from internal.rollup_state as s where s.name = '" ~ relation.identifier ~ "')" ~ since) }}
    ) as live
{% endmacro %}

{% macro create_continuous_aggregate(relation, sql, window) %}
    {%- set unit = config.get('bucket') -%}
    {%- set every = 'hourly' if unit == 'hour' else 'daily' -%}
    create materialized view if not exists {{ relation.schema }}.{{ relation.identifier }}
    with (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false) as
    {{ portable_ddl(relation, sql) | replace(window, 'true') }}
    with no data;
    select internal.set_refresh_policy(
        '{{ relation.schema }}.{{ relation.identifier }}',
        interval '{{ var("refresh_" ~ every ~ "_from") }}',
        interval '{{ var("refresh_" ~ every ~ "_lag") }}',
        interval '{{ var("refresh_" ~ every ~ "_every") }}'
    );
    select internal.set_compression_policy(
        '{{ relation.schema }}.{{ relation.identifier }}', interval '{{ var("compress_rollups_after") }}', '{{ config.get("compress_orderby", "bucket") }}', ''
    );
    {{ record_rollup(relation, sql, 'continuous_aggregate') }}
{% endmacro %}

{% macro record_rollup(relation, sql, kind) %}
    {%- set parent = config.get('parent') -%}
    insert into internal.rollup_state (name, source, parent, kind, bucket, timezone, definition)
    values (
        '{{ relation.identifier }}', '{{ config.get("source") }}', {{ "'" ~ parent ~ "'" if parent else 'null' }}, '{{ kind }}',
        '{{ config.get("bucket") }}', '{{ var("reporting_timezone") }}', '{{ rollup_definition(relation, sql) }}'
    )
    on conflict (name) do nothing;
{% endmacro %}

{% macro create_rollup(relation, sql, window) %}
    {%- set name = relation.identifier -%}
    {%- set stored = relation.schema ~ '.' ~ name ~ '_stored' -%}
    {%- set column = config.get('time_column', 'time') -%}
    {%- set columns = model.columns.keys() | join(', ') -%}
    {%- set query = portable_ddl(relation, sql) -%}
    create table if not exists {{ stored }} as select {{ columns }} from (
        {{ query | replace(window, 'false') }}
    ) as q with no data;
    comment on table {{ stored }} is 'Closed buckets of {{ name }}; read the view of that name.';
    {% for index in config.get('stored_indexes', []) %}
    create index if not exists {{ name }}_stored_{{ index | join('_') }}_idx on {{ stored }} ({{ index | join(', ') }});
    {% endfor %}
    create or replace function internal.refresh_{{ name }}() returns bigint
    language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
    as $f$
    declare
        work record;
        stored_rows bigint;
    begin
        select * into work from internal.begin_refresh('{{ name }}', '{{ config.get("bucket") }}');
        delete from {{ stored }} as s
        using unnest(work.lows, work.highs) as span (low, high)
        where s.bucket >= span.low and s.bucket < span.high;
        insert into {{ stored }} ({{ columns }})
        select {% for c in model.columns.keys() %}q.{{ c }}{{ ', ' if not loop.last }}{% endfor %}
        from unnest(work.lows, work.highs) as span (low, high)
        cross join lateral (
            {{ query | replace(window, column ~ ' >= span.low and ' ~ column ~ ' < span.high') }}
        ) as q
        -- a read of few buckets, such as the live tail of the rollup above, then reads few pages
        order by q.bucket;
        get diagnostics stored_rows = row_count;
        return stored_rows;
    end $f$;
    comment on function internal.refresh_{{ name }}() is 'Recomputes the touched and newly closed buckets of {{ name }}; returns the rows stored.';
    {{ record_rollup(relation, sql, 'incremental') }}
{% endmacro %}
