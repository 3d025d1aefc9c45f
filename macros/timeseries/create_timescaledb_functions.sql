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

create or replace function internal.maker_of_aggregates() returns text
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    runtime regrole := to_regrole('governance_dbt');
    part text;
begin
    if runtime is null or current_user = 'governance_dbt' or not pg_has_role(runtime::oid, 'member')
        or (select rolsuper from pg_roles where rolname = current_user)
        or not (
            current_user = 'governance_owner'
            or exists (select from internal.settings where name = 'database_roles' and value = 'true')
        )
    then
        return current_setting('role');
    end if;
    -- of a first build, which gives rights at its end
    for part in
        select format('usage on schema %I', n.nspname) from pg_namespace as n
        where n.nspname in ('core', 'internal', 'rollups') and not has_schema_privilege(runtime, n.oid, 'usage')
        union all
        select 'create on schema rollups' where not has_schema_privilege(runtime, 'rollups', 'create')
        union all
        -- until 2.26 TimescaleDB adds a trigger to what it reads
        select format('select, trigger on core.%I', t.name) from internal.time_series as t
        where not has_table_privilege(runtime, format('core.%I', t.name), 'select')
            or not has_table_privilege(runtime, format('core.%I', t.name), 'trigger')
    loop
        execute format('grant %s to governance_dbt', part);
    end loop;
    return 'governance_dbt';
end $f$;
comment on function internal.maker_of_aggregates() is
    'The role that makes a continuous aggregate: governance_dbt, which refreshes it as its owner, where this session may act as that. What a superuser makes is given away afterwards.';

create or replace function internal.take_back_triggers() returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    series text;
begin
    for series in
        select format('core.%I', t.name)
        from internal.time_series as t
        inner join pg_class as c on c.oid = format('core.%I', t.name)::regclass
        cross join lateral aclexplode(c.relacl) as a
        where a.grantee = to_regrole('governance_dbt') and a.privilege_type = 'TRIGGER' and c.relowner <> a.grantee
    loop
        execute format('revoke trigger on %s from governance_dbt', series);
    end loop;
end $f$;
comment on function internal.take_back_triggers() is 'Takes from the runtime the right to add triggers to raw tables, which it has while it makes a continuous aggregate.';

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
        if kind = 'materialized view' then
            -- it asks for one, and needs none: our own job refreshes
            perform public.add_continuous_aggregate_policy(
                series, start_offset => interval '4 days', end_offset => interval '1 day', schedule_interval => interval '1 day'
            );
        end if;
        call public.add_columnstore_policy(series, after => compress_after);
        if kind = 'materialized view' then
            perform public.remove_continuous_aggregate_policy(series);
        end if;
    else
        perform internal.set_job_config(job, jsonb_build_object('compress_after', compress_after), null);
    end if;
end $f$;
comment on function internal.set_compression_policy(regclass, interval, text, text) is 'Order and sparse index of compressed chunks, and when a background job compresses.';

create or replace procedure internal.refresh_in_background(job_id integer, config jsonb)
language plpgsql
as $f$
begin
    call internal.refresh_rollup(config operator(pg_catalog.->>) 'rollup');
end $f$;
comment on procedure internal.refresh_in_background(integer, jsonb) is 'What the background job of a rollup does: a refresh that leaves out where raw rows are gone, which a refresh policy of TimescaleDB would erase.';
revoke all on procedure internal.refresh_in_background(integer, jsonb) from public;

create or replace function internal.refresh_job(rollup_name text) returns integer
language sql stable set search_path = pg_catalog, pg_temp
as $f$
    select job_id
    from timescaledb_information.jobs
    where proc_schema = 'internal' and proc_name = 'refresh_in_background' and config ->> 'rollup' = rollup_name
$f$;
comment on function internal.refresh_job(text) is 'Background job that refreshes a rollup; null without one.';

create or replace function internal.set_refresh_job(rollup_name text, every interval) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    job integer := internal.refresh_job(rollup_name);
begin
    perform public.remove_continuous_aggregate_policy(format('%I.%I', a.view_schema, a.view_name)::regclass, if_exists => true)
    from timescaledb_information.continuous_aggregates as a
    inner join internal.rollup_state as r
        on format('%I.%I', a.view_schema, a.view_name) = internal.stored_relation(r.name, r.version)
    where r.name = rollup_name
        and internal.job_of(format('%I.%I', a.view_schema, a.view_name)::regclass, 'policy_refresh_continuous_aggregate') is not null;
    if job is null then
        perform public.add_job('internal.refresh_in_background', every, config => jsonb_build_object('rollup', rollup_name));
    else
        perform internal.set_job_config(job, '{}', every);
    end if;
end $f$;
comment on function internal.set_refresh_job(text, interval) is 'Refreshes a rollup that is a continuous aggregate by a background job, in place of a refresh policy.';
{%- endif %}
{% endmacro %}
