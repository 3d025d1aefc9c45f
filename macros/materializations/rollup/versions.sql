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
    {%- set one_at_a_time = lock_key('build') ~ ", hashtext('" ~ relation.identifier ~ "')" -%}
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
            {%- set began = run_query('select now()::text').rows[0][0] -%}
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
        {% else %}
            {% call statement('filled') %}select internal.note_refreshed('{{ relation.identifier }}', {{ version }}, '{{ began }}'){% endcall %}
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

{% macro fill_version(relation) %}
    do $$
    begin
        perform internal.refresh_{{ relation.identifier }}();
        if exists (select from internal.rollup_state where name = '{{ relation.identifier }}' and watermark < starts_at) then
            raise exception 'the new version of {{ relation.identifier }} cannot be stored while a transaction older than this build is open; see pg_stat_activity by xact_start, end it and build again';
        end if;
    end $$
{% endmacro %}

{% macro text_array(names) %}{{ return("'{" ~ names | join(', ') ~ "}'::text[]") }}{% endmacro %}

{% macro record_rollup(relation, node, sql, kind) %}
    {%- set parent = node.config.get('parent') -%}
    insert into internal.rollup_state (name, source, parent, kind, bucket, timezone, definition, grain, query)
    values (
        '{{ relation.identifier }}', '{{ node.config.get("source") }}', {{ "'" ~ parent ~ "'" if parent else 'null' }}, '{{ kind }}',
        '{{ node.config.get("bucket") }}', '{{ var("reporting_timezone") }}', '{{ rollup_definition(relation, node, sql) }}',
        {{ text_array(node.config.get('grain')) }}, $q${{ portable_ddl(relation, sql) }}$q$
    )
    on conflict (name) do update set parent = excluded.parent, grain = excluded.grain, query = excluded.query;
{% endmacro %}
