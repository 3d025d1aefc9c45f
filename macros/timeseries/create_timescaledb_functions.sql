{#
    Settings and policies of TimescaleDB, altered only where they differ: a job keeps its id and its statistics over
    builds. Named as TimescaleDB names what they set.
#}
{% macro create_timescaledb_functions() %}
{%- if time_series_engine() != 'postgres' %}
create or replace function internal.set_chunk_width(series regclass, width interval) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
begin
    if not exists (
        select from timescaledb_information.dimensions
        where format('%I.%I', hypertable_schema, hypertable_name)::regclass = series and time_interval = width
    ) then
        perform public.set_chunk_time_interval(series, width);
    end if;
end $f$;
comment on function internal.set_chunk_width(regclass, interval) is 'Width of the chunks of a hypertable from now on.';
{%- endif %}
{%- if time_series_engine() == 'timescaledb' %}

create or replace function internal.set_job_config(job integer, wanted jsonb, every interval) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    present timescaledb_information.jobs;
begin
    select * into present from timescaledb_information.jobs where job_id = job;
    if not present.config @> wanted then
        perform public.alter_job(job, config => present.config || wanted);
    end if;
    if every is not null and present.schedule_interval <> every then
        perform public.alter_job(job, schedule_interval => every);
    end if;
end $f$;
comment on function internal.set_job_config(integer, jsonb, interval) is 'Alters a job where its configuration or schedule differs.';

create or replace function internal.job_of(series regclass, policy text) returns integer
language sql stable set search_path = pg_catalog, pg_temp
as $f$
    select j.job_id
    from timescaledb_information.jobs as j
    where j.proc_name = policy
        and (j.hypertable_schema, j.hypertable_name) in (
            select n.nspname, c.relname from pg_class as c inner join pg_namespace as n on n.oid = c.relnamespace where c.oid = series
            union all
            select a.materialization_hypertable_schema, a.materialization_hypertable_name
            from timescaledb_information.continuous_aggregates as a
            where format('%I.%I', a.view_schema, a.view_name)::regclass = series
        )
$f$;
comment on function internal.job_of(regclass, text) is 'Job of a policy on a hypertable or continuous aggregate; null without one.';

create or replace function internal.set_retention_policy(series regclass, drop_after interval) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    job integer := internal.job_of(series, 'policy_retention');
begin
    if job is null then
        perform public.add_retention_policy(series, drop_after);
    else
        perform internal.set_job_config(job, jsonb_build_object('drop_after', drop_after), null);
    end if;
end $f$;
comment on function internal.set_retention_policy(regclass, interval) is 'Drops chunks that are older, by a background job.';

create or replace function internal.set_compression_policy(
    series regclass, compress_after interval, orderby text, sparse_index text
) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    job integer := internal.job_of(series, 'policy_compression');
    kind text := case when (select relkind from pg_class where oid = series) = 'v' then 'materialized view' else 'table' end;
begin
    -- without an empty segmentby TimescaleDB chooses one of its own
    execute format(
        'alter %s %s set (timescaledb.enable_columnstore, timescaledb.segmentby = '''', timescaledb.orderby = %L)',
        kind, series, orderby
    );
    if sparse_index <> '' then
        begin
            execute format('alter table %s set (timescaledb.sparse_index = %L)', series, sparse_index);
        exception when invalid_parameter_value or undefined_object or syntax_error or feature_not_supported then
            raise notice 'this version of TimescaleDB has no sparse index %; % does without', sparse_index, series;
        end;
    end if;
    if job is null then
        call public.add_columnstore_policy(series, after => compress_after);
    else
        perform internal.set_job_config(job, jsonb_build_object('compress_after', compress_after), null);
    end if;
end $f$;
comment on function internal.set_compression_policy(regclass, interval, text, text) is 'Order and sparse index of compressed chunks, and when a background job compresses.';

create or replace function internal.set_refresh_policy(
    rollup regclass, start_offset interval, end_offset interval, every interval
) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    job integer := internal.job_of(rollup, 'policy_refresh_continuous_aggregate');
begin
    if job is null then
        perform public.add_continuous_aggregate_policy(
            rollup, start_offset => start_offset, end_offset => end_offset, schedule_interval => every
        );
    else
        perform internal.set_job_config(
            job, jsonb_build_object('start_offset', start_offset, 'end_offset', end_offset), every
        );
    end if;
end $f$;
comment on function internal.set_refresh_policy(regclass, interval, interval, interval) is 'Refreshes a continuous aggregate by a background job.';
{%- endif %}
{% endmacro %}
