{#
    What verification asks of the engine, as subqueries with the same columns on each: its rules know no engine. They read
    relations and no function with rights of its own, so that whoever may read the rule sees what its owner sees.
#}

{# One row per time-series table: how it is stored, how it should be, and how wide its parts are from now on. #}
{% macro time_series_tables() %}
{%- if time_series_engine() == 'postgres' -%}
select
    series.name as series,
    case pg_class.relkind when 'p' then 'native partitions' else 'one piece' end as storage,
    'native partitions' as wanted,
    (
        select ranges.high - ranges.low
        from internal.partition_ranges(pg_class.oid::regclass) as ranges
        order by ranges.low desc
        limit 1
    ) as width
from internal.time_series as series
inner join pg_class on pg_class.relname = series.name and pg_class.relnamespace::regnamespace::text = 'core'
{%- else -%}
select
    series.name as series,
    case when dimensions.time_interval is null then 'one piece' else 'chunks' end as storage,
    'chunks' as wanted,
    dimensions.time_interval as width
from internal.time_series as series
left join timescaledb_information.dimensions as dimensions
    on dimensions.hypertable_schema = 'core' and dimensions.hypertable_name = series.name
{%- endif -%}
{% endmacro %}

{# One row per partition or chunk, the default partition left out; compress_at is null where nothing is compressed. #}
{% macro time_series_parts() %}
{%- if time_series_engine() == 'postgres' -%}
select
    series.name as series,
    format('%s.%s', parts.relnamespace::regnamespace, parts.relname) as part,
    ranges.low,
    ranges.high,
    null::timestamptz as compress_at,
    false as is_compressed
from internal.time_series as series
inner join pg_class on pg_class.relname = series.name and pg_class.relnamespace::regnamespace::text = 'core'
cross join lateral internal.partition_ranges(pg_class.oid::regclass) as ranges
inner join pg_class as parts on parts.oid = ranges.partition
{%- else -%}
select
    chunks.hypertable_name::text as series,
    format('%s.%s', chunks.chunk_schema, chunks.chunk_name) as part,
    chunks.range_start as low,
    chunks.range_end as high,
    {% if time_series_engine() == 'timescaledb' -%}
    -- a chunk of the past, of an import, has its time too
    greatest(chunks.range_end + interval '{{ var("compress_after") }}', chunks.chunk_creation_time) as compress_at,
    {%- else -%}
    null::timestamptz as compress_at,
    {%- endif %}
    chunks.is_compressed
from timescaledb_information.chunks
where chunks.hypertable_schema = 'core'
{%- endif -%}
{% endmacro %}

{# One row per span whose raw rows were dropped before their retention is over, and whose buckets the rollups keep. #}
{% macro gone_spans() -%}
select series.name as series, lower(spans.span) as low, upper(spans.span) as high
from internal.time_series as series
cross join lateral unnest(
    -- also what no refresh has noted so far
    series.gone + coalesce(
        (
            select range_agg(tstzrange(seen.low, seen.high))
            from internal.time_series_parts as seen
            where seen.series = series.name
                -- nothing is stored of later ones
                and seen.low < (select max(watermark) from internal.rollup_state where source = series.name)
                and exists (
                    select from pg_class
                    where relname = series.name and relnamespace::regnamespace::text = 'core' and relkind <> 'v'
                )
                and not exists (
                    select from pg_inherits
                    inner join pg_class as parents on parents.oid = pg_inherits.inhparent
                    inner join pg_class as parts on parts.oid = pg_inherits.inhrelid
                    where parents.relname = series.name
                        and parents.relnamespace::regnamespace::text = 'core'
                        and parts.relname = seen.part
                )
        ),
        '{}'
    )
) as spans (span)
inner join internal.settings as settings on settings.name = series.name || '_retention'
where upper(spans.span) > greatest(series.dropped_before, now() - settings.value::interval)
{%- endmacro %}

{# One row per time-series table with rows in its default partition that could be in one of their own. #}
{% macro default_partition_rows() %}
{%- if time_series_engine() == 'postgres' -%}
{% for series in ['llm_metrics', 'system_metrics'] -%}
select '{{ series }}' as series, count(*) as row_count, min(time) as low, max(time) as high
from core.{{ series }}_default
where time >= timestamptz '2000-01-01 00:00+00' and time < now() + interval '1 year'
having count(*) > 0
{{ 'union all' if not loop.last }}
{% endfor %}
{%- else -%}
select null::text as series, null::bigint as row_count, null::timestamptz as low, null::timestamptz as high where false
{%- endif -%}
{% endmacro %}
