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
    -- one whose next start was set begins at -infinity, and the jobs of rollups are made for their first start
    coalesce(nullif(stats.last_run_started_at, '-infinity'), jobs.initial_start) as waits_since,
    (
        -- each try without a free worker is noted
        select min(errors.start_time) from timescaledb_information.job_errors as errors
        where errors.job_id = jobs.job_id and errors.err_message like 'failed to start job%'
            and errors.start_time > stats.last_successful_finish
        having max(errors.start_time) >= stats.last_run_started_at
    ) as no_worker_since,
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
    null::text as last_run_status, null::timestamptz as waits_since, null::timestamptz as no_worker_since,
    null::timestamptz as last_run_started_at, null::bigint as total_failures
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

{# What to do, as SQL text, where jobs don't run. #}
{% macro starting_of_workers() -%}
'Run `select _timescaledb_functions.start_background_workers()` as a superuser, for they may be stopped. '
{%- endmacro %}

{% macro number_of_workers() -%}
format(
    'Where workers are too few: max_worker_processes is %s and should be %s more than timescaledb.max_background_workers, '
    || 'which is %s; set them and restart the server.',
    current_setting('max_worker_processes'),
    current_setting('max_parallel_workers')::integer + 3,
    current_setting('timescaledb.max_background_workers', true)
)
{%- endmacro %}
