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

{# One row per policy that should run in the background, with what is known of its job. #}
{% macro time_series_policies() %}
{%- if time_series_engine() == 'timescaledb' -%}
select
    wanted.policy,
    wanted.target,
    wanted.config as wanted_config,
    wanted.every as wanted_every,
    jobs.job_id,
    jobs.config,
    jobs.schedule_interval as every,
    jobs.scheduled as is_scheduled,
    stats.last_run_status,
    stats.last_run_started_at,
    stats.total_failures
from (
    {% for series in ['llm_metrics', 'system_metrics'] -%}
    select
        'retention' as policy, 'core.{{ series }}' as target,
        jsonb_build_object('drop_after', interval '{{ var(series ~ "_retention") }}') as config, null::interval as every
    union all
    select 'compression', 'core.{{ series }}', jsonb_build_object('compress_after', interval '{{ var("compress_after") }}'), null
    union all
    {% endfor -%}
    select 'compression', {{ _stored_in('rollup_state') }}, jsonb_build_object('compress_after', interval '{{ var("compress_rollups_after") }}'), null
    from internal.rollup_state where kind = 'continuous_aggregate'
    {% for unit, every in [('hour', 'hourly'), ('day', 'daily')] -%}
    union all
    select
        'refresh', 'rollups.' || rollup_state.name, jsonb_build_object('rollup', rollup_state.name),
        interval '{{ var("refresh_" ~ every ~ "_every") }}'
    from internal.rollup_state where kind = 'continuous_aggregate' and bucket = '{{ unit }}'
    {% endfor -%}
) as wanted
{# the view continuous_aggregates would ask the reader for rights on core -#}
left join _timescaledb_catalog.continuous_agg as aggregates
    on format('%s.%s', aggregates.user_view_schema, aggregates.user_view_name) = wanted.target
left join _timescaledb_catalog.hypertable as stored on stored.id = aggregates.mat_hypertable_id
left join timescaledb_information.jobs as jobs
    on (
        jobs.proc_name = 'policy_' || wanted.policy
        and format('%s.%s', jobs.hypertable_schema, jobs.hypertable_name)
            in (wanted.target, format('%s.%s', stored.schema_name, stored.table_name))
    )
    or (jobs.proc_schema = 'internal' and jobs.proc_name = 'refresh_in_background' and jobs.config @> wanted.config and wanted.policy = 'refresh')
left join timescaledb_information.job_stats as stats on stats.job_id = jobs.job_id
{%- else -%}
select
    null::text as policy, null::text as target, null::jsonb as wanted_config, null::interval as wanted_every,
    null::integer as job_id, null::jsonb as config, null::interval as every, null::boolean as is_scheduled,
    null::text as last_run_status, null::timestamptz as last_run_started_at, null::bigint as total_failures
where false
{%- endif -%}
{% endmacro %}

{# One row per refresh policy of TimescaleDB on a continuous aggregate of ours. #}
{% macro erasing_policies() %}
{%- if time_series_engine() == 'timescaledb' -%}
select jobs.job_id, {{ _stored_in('rollups') }} as target
from internal.rollup_state as rollups
inner join _timescaledb_catalog.continuous_agg as aggregates
    on format('%s.%s', aggregates.user_view_schema, aggregates.user_view_name) = {{ _stored_in('rollups') }}
inner join _timescaledb_catalog.hypertable as stored on stored.id = aggregates.mat_hypertable_id
inner join timescaledb_information.jobs as jobs
    on jobs.proc_name = 'policy_refresh_continuous_aggregate'
        and (jobs.hypertable_schema, jobs.hypertable_name) in (
            (stored.schema_name, stored.table_name), (aggregates.user_view_schema, aggregates.user_view_name)
        )
{%- else -%}
select null::integer as job_id, null::text as target where false
{%- endif -%}
{% endmacro %}

{# One row per rollup: its buckets before the watermark are stored, newer ones computed when asked. #}
{% macro rollup_watermarks() %}
select
    rollups.name as rollup,
    rollups.source as series,
    rollups.bucket as unit,
    rollups.refreshed_at,
    {% if has_continuous_aggregates() -%}
    case rollups.kind
        when 'incremental' then rollups.watermark
        else {{ _from_microseconds('watermarks.watermark') }}
    end as watermark
    {%- else -%}
    rollups.watermark
    {%- endif %}
from internal.rollup_state as rollups
{%- if has_continuous_aggregates() %}
left join _timescaledb_catalog.continuous_agg as aggregates
    on format('%s.%s', aggregates.user_view_schema, aggregates.user_view_name) = {{ _stored_in('rollups') }}
left join _timescaledb_catalog.continuous_aggs_watermark as watermarks
    on watermarks.mat_hypertable_id = aggregates.mat_hypertable_id
{%- endif -%}
{% endmacro %}

{# One row per span of time below a watermark that a rollup has still to recompute. #}
{% macro pending_spans() %}
{%- if has_continuous_aggregates() -%}
select
    rollups.name as rollup,
    {{ _from_microseconds('log.lowest_modified_value') }} as low,
    {{ _from_microseconds('log.greatest_modified_value') }} as high
from _timescaledb_catalog.continuous_agg as aggregates
inner join internal.rollup_state as rollups
    on format('%s.%s', aggregates.user_view_schema, aggregates.user_view_name) = {{ _stored_in('rollups') }}
inner join (
    select materialization_id as mat_hypertable_id, null as raw_hypertable_id, lowest_modified_value, greatest_modified_value
    from _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
    union all
    select null, hypertable_id, lowest_modified_value, greatest_modified_value
    from _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log
) as log
    on log.mat_hypertable_id = aggregates.mat_hypertable_id or log.raw_hypertable_id = aggregates.raw_hypertable_id
{%- else -%}
select rollup, slot as low, slot + interval '15 minutes' as high
from internal.rollup_invalidations
union all
select rollups.name, log.slot, log.slot + interval '15 minutes'
from internal.invalidations as log
inner join internal.rollup_state as rollups on rollups.source = log.source and rollups.parent is null
{%- endif -%}
{% endmacro %}

{# The relation that holds the present version of a rollup (internal.stored_relation, which a reader may not call). #}
{% macro _stored_in(rollups) -%}
'rollups.' || {{ rollups }}.name || '_stored' || case when {{ rollups }}.version > 1 then '_' || {{ rollups }}.version else '' end
{%- endmacro %}

{# TimescaleDB's own notion of time; its infinities are beyond what to_timestamp takes. #}
{% macro _from_microseconds(value) -%}
to_timestamp(least(greatest({{ value }}, -4000000000000000), 4000000000000000) / 1000000.0)
{%- endmacro %}

{# The span of whole buckets of a rollup that verification compares with what they are made of. #}
{% macro verified_span(rollup) -%}
select
    greatest(
        {{ time_bucket('day', "now() - interval '" ~ var('verified_rollup_window') ~ "'") }},
        {{ time_bucket('day', "greatest(series.dropped_before, timestamptz '2000-01-01 00:00+00') + interval '1 day'") }},
        {{ time_bucket('day', "now() - settings.value::interval + interval '1 day'") }},
        -- what is older was made by an older definition, of the rollup or of what it reads
        {{ time_bucket('day', "greatest(states.starts_at, parents.starts_at, timestamptz '2000-01-01 00:00+00') + interval '1 day'") }}
    ) as low,
    rollups.watermark as high
from ({{ rollup_watermarks() }}) as rollups
inner join internal.rollup_state as states on states.name = rollups.rollup
left join internal.rollup_state as parents on parents.name = states.parent
inner join internal.time_series as series on series.name = rollups.series
inner join internal.settings as settings on settings.name = rollups.series || '_retention'
where rollups.rollup = '{{ rollup }}'
{%- endmacro %}

{# Whether a bucket of a rollup is waiting to be recomputed, or can't be, for its raw rows are gone. #}
{% macro is_pending(rollup, bucket, unit) -%}
(
    exists (
        select from ({{ pending_spans() }}) as pending
        where pending.rollup = '{{ rollup }}'
            and pending.low < {{ bucket }} + interval '1 {{ unit }}'
            and pending.high >= {{ bucket }}
    )
    or exists (
        select from ({{ gone_spans() }}) as gone
        inner join internal.rollup_state as states on states.source = gone.series
        where states.name = '{{ rollup }}'
            and gone.low < {{ bucket }} + interval '1 {{ unit }}'
            and gone.high > {{ bucket }}
    )
)
{%- endmacro %}
