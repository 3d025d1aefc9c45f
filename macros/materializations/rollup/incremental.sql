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
    create index if not exists {{ stored_index_name(stored, index) }} on {{ stored }} ({{ index | join(', ') }});
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
