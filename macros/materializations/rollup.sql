{#
    A rollup: closed buckets stored in <rollup>_stored, newer ones computed from the source when asked, one view over both.
    Config: bucket (hour, day), grain (its key columns), source (the time-series table), time_column (of what it reads),
    parent (the rollup it reads, if any), stored_indexes (lists of columns), compress_orderby. The model's SQL holds
    `where {{ in_rollup_window(column) }}`. A build refreshes it; nothing is ever lost, also not on --full-refresh. A changed
    definition is stored anew from raw rows, as <rollup>_stored_<version>; what they no longer cover is kept
    (macros/timeseries/create_rollup_version_functions.sql).
#}
{% materialization rollup, adapter='postgres' %}
    {%- set relation = this.incorporate(type='view') -%}
    {%- set window = in_rollup_window(config.get('time_column', 'time')) -%}
    {% if window not in sql %}
        {{ exceptions.raise_compiler_error(this ~ ' needs `where {{ in_rollup_window("<time column>") }}` in its SQL') }}
    {% endif %}
    {% if not config.get('grain') %}
        {{ exceptions.raise_compiler_error(this ~ ' needs `grain` in its config: the columns it groups by') }}
    {% endif %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {% do take_build_lock() %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% set kind = 'continuous_aggregate' if has_continuous_aggregates() else 'incremental' %}
    {% set present = present_version(relation, model, sql, kind) %}
    {% if present.outdated %}
        {% do store_next_version(relation, model, sql, window, kind, present) %}
    {% else %}
        {% do store_version(relation, model, sql, window, kind, present.number) %}
        {% if kind == 'incremental' %}
            {{ adapter.commit() }}
            {% do run_query("call internal.refresh_rollup('" ~ relation.identifier ~ "')") %}
            {% do begin_again() %}
        {% endif %}
    {% endif %}
    {% set retired = retired_columns(relation, model) %}
    {% call statement('main') %}
        {{ replace_view_in_place(relation, rollup_view_sql(relation, model, sql, window, retired), recreate_dependents=true) }}
    {% endcall %}
    {% do assert_no_drift(relation, model, retired.keys() | list) %}
    {% do persist_comments(relation, model) %}
    {% do apply_grants(relation, config.get('grants'), should_revoke=False) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {#- in a transaction of its own, which keeps nothing locked that readers or background jobs may want meanwhile #}
    {% do begin_again() %}
    {% call statement('superseded') %}select internal.drop_superseded(){% endcall %}
    {{ adapter.commit() }}
    {% if kind == 'continuous_aggregate' %}
        {#- always current without a refresh; one by a build could meet that of the policy, which TimescaleDB refuses #}
        {% do begin_again() %}
        {% call statement('policies') %}{{ ensure_object(relation, set_rollup_policies(relation, model)) | trim or 'select 1' }}{% endcall %}
        {{ adapter.commit() }}
    {% endif %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}

{# Checksum of the SQL, and which version of its parent it reads: a day stays the sum of its hours. #}
{% macro rollup_definition(relation, node, sql) %}
    {% set query %}
        select version from internal.rollup_state where name = '{{ node.config.get("parent") }}' and version > 1
    {% endset %}
    {% set parent = run_query(query).rows %}
    {{ return(local_md5(portable_ddl(relation, sql).split() | join(' ')) ~ ('/' ~ parent[0][0] if parent | length else '')) }}
{% endmacro %}

{# The number of the stored version, and whether the model is no longer what it holds. #}
{% macro present_version(relation, node, sql, kind) %}
    {% set query %}
        select version, definition, kind, bucket from internal.rollup_state where name = '{{ relation.identifier }}'
    {% endset %}
    {% set state = run_query(query).rows %}
    {% if not state | length %}{{ return({'number': 1, 'outdated': false}) }}{% endif %}
    {% if state[0][3] != node.config.get('bucket') %}
        {{ exceptions.raise_compiler_error(
            relation.include(database=false) ~ ' holds buckets of one ' ~ state[0][3] ~ ', which older buckets keep; give a rollup by ' ~ node.config.get('bucket') ~ ' another name'
        ) }}
    {% endif %}
    {{ return({
        'number': state[0][0],
        'outdated': state[0][1] != rollup_definition(relation, node, sql) or state[0][2] != kind,
    }) }}
{% endmacro %}

{% macro stored_name(relation, version) %}
    {{ return(relation.schema ~ '.' ~ relation.identifier ~ '_stored' ~ ('_' ~ version if version > 1 else '')) }}
{% endmacro %}

{# Sends what a version is stored in, where it isn't there as wanted. #}
{% macro store_version(relation, node, sql, window, kind, version) %}
    {%- set stored = relation.incorporate(path={'identifier': stored_name(relation, version).split('.')[1]}) -%}
    {% if kind == 'continuous_aggregate' %}
        {% set ddl = create_continuous_aggregate(relation, node, sql, window, version) ~ record_rollup(relation, node, sql, kind) %}
    {% else %}
        {% set ddl = create_rollup(relation, node, sql, window, version) ~ record_rollup(relation, node, sql, kind) %}
    {% endif %}
    {% call statement('store_version') %}{{ ensure_object(stored, ddl) | trim or 'select 1' }}{% endcall %}
{% endmacro %}

{#
    Everything up to the commit is one transaction, in which readers go on with the version they have. A continuous
    aggregate, which can't be filled in a transaction, is filled beside it before.
#}
{% macro store_next_version(relation, node, sql, window, kind, present) %}
    {%- set version = present.number + 1 -%}
    {%- set one_at_a_time = build_lock_key() ~ ", hashtext('" ~ relation.identifier ~ "')" -%}
    {{ adapter.commit() }}
    {% do run_query('select pg_advisory_lock(' ~ one_at_a_time ~ ')') %}
    {% do begin_again() %}
    {% if present_version(relation, node, sql, kind).number == present.number %}
        {% if kind == 'continuous_aggregate' %}
            {%- set stored = relation.incorporate(path={'identifier': stored_name(relation, version).split('.')[1]}) -%}
            {%- set anew = 'drop materialized view if exists ' ~ stored_name(relation, version) ~ ';' -%}
            {% call statement('beside') %}
                {{ ensure_object(stored, anew ~ create_continuous_aggregate(relation, node, sql, window, version)) | trim or 'select 1' }}
            {% endcall %}
            {{ adapter.commit() }}
            {% do run_query("call internal.refresh_aggregate('" ~ relation.identifier ~ "', " ~ version ~ ', true)') %}
        {% else %}
            {{ adapter.commit() }}
            {% do run_query("call internal.close_hours('" ~ node.config.get('source') ~ "')") %}
        {% endif %}
        {% do begin_again() %}
        {% call statement('replace_version') %}{{ replace_version(relation, node, sql, window, kind) }}{% endcall %}
        {% do store_version(relation, node, sql, window, kind, version) %}
        {% if kind == 'incremental' %}
            {% call statement('fill') %}{{ fill_version(relation) }}{% endcall %}
        {% endif %}
    {% endif %}
    {% do run_query('select pg_advisory_unlock(' ~ one_at_a_time ~ ')') %}
{% endmacro %}

{% macro replace_version(relation, node, sql, window, kind) %}
    {%- set part = "{column} >= {low} and {column} < {high}" -%}
    {%- set query = portable_ddl(relation, sql) -%}
    {%- set parent = node.config.get('parent') -%}
    {%- set parent_query = none -%}
    {% if parent %}
        {#- raw rows by way of the parent's query: its own buckets need not begin where these do #}
        {%- set parent_query = run_query("select coalesce(query, '') from internal.rollup_state where name = '" ~ parent ~ "'").rows[0][0]
            | replace(in_rollup_window('time'), part | replace('{column}', 'time')) -%}
        {%- set first_part = query
            | replace('"' ~ relation.schema ~ '"."' ~ parent ~ '"', 'pg_temp.governance_parent') | replace(window, 'true') -%}
    {% else %}
        {%- set first_part = query | replace(window, part | replace('{column}', 'time')) -%}
    {% endif %}
    select internal.replace_version(
        '{{ relation.identifier }}', '{{ kind }}', '{{ rollup_definition(relation, node, sql) }}', {{ text_array(node.config.get('grain')) }},
        $q${{ query }}$q$, array[{% for index in node.config.get('stored_indexes', []) %}'{{ index | join(', ') }}'{{ ', ' if not loop.last }}{% endfor %}]::text[],
        $q${{ first_part }}$q$, {{ '$q$' ~ parent_query ~ '$q$' if parent else 'null' }}
    )
{% endmacro %}

{% macro text_array(names) %}{{ return("'{" ~ names | join(', ') ~ "}'::text[]") }}{% endmacro %}

{% macro fill_version(relation) %}
    do $$
    begin
        perform internal.refresh_{{ relation.identifier }}();
        if exists (select from internal.rollup_state where name = '{{ relation.identifier }}' and watermark < starts_at) then
            raise exception 'the new version of {{ relation.identifier }} cannot be stored while a transaction older than this build is open; see pg_stat_activity by xact_start, end it and build again';
        end if;
    end $$
{% endmacro %}

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
    earlier watermark, lets the planner leave out the partitions below it, of which there are a hundred in two years.
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
    {%- set wheres = (["bucket >= timestamptz '" ~ starts_at ~ "+00'"] if starts_at else []) + ([kept] if kept else []) -%}
    {%- if wheres %} where {{ wheres | join(' and ') }}{% endif %}
    {%- if kind == 'incremental' %}
    {%- set since = '' if node.config.get('parent') or not watermark else " and " ~ column ~ " >= timestamptz '" ~ watermark ~ "+00'" %}
    union all
    select {{ selected | join(', ') }} from (
    {{ portable_ddl(relation, sql) | replace(window, column ~ " >= (select coalesce(max(s.watermark), '-infinity') from internal.rollup_state as s where s.name = '" ~ relation.identifier ~ "')" ~ since) }}
    ) as live
    {%- endif %}
{% endmacro %}

{# A continuous aggregate can read a table or another continuous aggregate, not the view that has the rollup's name. #}
{% macro create_continuous_aggregate(relation, node, sql, window, version, parent_stored=none) %}
    {%- set query = portable_ddl(relation, sql) | replace(window, 'true') -%}
    {%- set parent = node.config.get('parent') -%}
    {%- if parent %}
        {%- set stored = parent_stored or run_query("select internal.stored_relation(name, version) from internal.rollup_state where name = '" ~ parent ~ "'").rows[0][0] -%}
        {%- set query = query | replace('"' ~ relation.schema ~ '"."' ~ parent ~ '"', stored) -%}
    {%- endif %}
    create materialized view if not exists {{ stored_name(relation, version) }}
    with (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false) as
    {{ query }}
    with no data;
{% endmacro %}

{% macro set_rollup_policies(relation, node) %}
    {%- set every = 'hourly' if node.config.get('bucket') == 'hour' else 'daily' -%}
    {%- set query = "select internal.stored_relation(name, version) from internal.rollup_state where name = '" ~ relation.identifier ~ "'" -%}
    {%- set stored = run_query(query).rows[0][0] -%}
    select internal.set_refresh_job('{{ relation.identifier }}', interval '{{ var("refresh_" ~ every ~ "_every") }}');
    select internal.set_compression_policy(
        '{{ stored }}', interval '{{ var("compress_rollups_after") }}', '{{ node.config.get("compress_orderby", "bucket") }}', ''
    );
{% endmacro %}

{% macro record_rollup(relation, node, sql, kind) %}
    {%- set parent = node.config.get('parent') -%}
    insert into internal.rollup_state (name, source, parent, kind, bucket, timezone, definition, grain, query)
    values (
        '{{ relation.identifier }}', '{{ node.config.get("source") }}', {{ "'" ~ parent ~ "'" if parent else 'null' }}, '{{ kind }}',
        '{{ node.config.get("bucket") }}', '{{ var("reporting_timezone") }}', '{{ rollup_definition(relation, node, sql) }}',
        {{ text_array(node.config.get('grain')) }}, $q${{ portable_ddl(relation, sql) }}$q$
    )
    on conflict (name) do update set grain = excluded.grain, query = excluded.query;
{% endmacro %}

{% macro create_rollup(relation, node, sql, window, version) %}
    {%- set name = relation.identifier -%}
    {%- set stored = stored_name(relation, version) -%}
    {%- set column = node.config.get('time_column', 'time') -%}
    {%- set columns = node.columns.keys() | join(', ') -%}
    {%- set query = portable_ddl(relation, sql) -%}
    create table if not exists {{ stored }} as select {{ columns }} from (
        {{ query | replace(window, 'false') }}
    ) as q with no data;
    comment on table {{ stored }} is 'Closed buckets of {{ name }}; read the view of that name.';
    {% for index in node.config.get('stored_indexes', []) %}
    create index if not exists {{ stored.split('.')[1] }}_{{ index | join('_') }}_idx on {{ stored }} ({{ index | join(', ') }});
    {% endfor %}
    create or replace function internal.refresh_{{ name }}() returns bigint
    language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
    as $f$
    declare
        work record;
        stored_rows bigint;
    begin
        perform from internal.rollup_state
        where name = '{{ name }}' and version = {{ version }}
            and timezone = (select value from internal.settings where settings.name = 'reporting_timezone')
        for update;
        if not found then
            return 0;  -- a build is replacing it
        end if;
        select * into work from internal.begin_refresh('{{ name }}', '{{ node.config.get("bucket") }}');
        delete from {{ stored }} as s
        using unnest(work.lows, work.highs) as span (low, high)
        where s.bucket >= span.low and s.bucket < span.high;
        insert into {{ stored }} ({{ columns }})
        select {% for c in node.columns.keys() %}q.{{ c }}{{ ', ' if not loop.last }}{% endfor %}
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
{% endmacro %}
