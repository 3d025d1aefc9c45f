{#
    What every node relies on: extensions, schemas, internal tables, shared functions, settings. Runs in on-run-start,
    single-threaded, as one transaction; nothing is sent while its text is the one applied last.
#}
{% macro bootstrap() %}
    {%- if execute and writes_schema() -%}
        {%- if run_query("select true from pg_class where oid = to_regclass('core.llm_metrics') and relkind = 'v'").rows | length -%}
            {{ exceptions.raise_compiler_error('the time-series tables are being moved to hypertables; run `governance move-to-hypertables`, which goes on and builds') }}
        {%- endif -%}
        {%- set sets_database = sets_database_settings() -%}
        {%- set has_search_path = has_database_setting('search_path') -%}
        {%- if sets_database and not has_search_path %}{% do assert_none_hidden() %}{% endif -%}
        {%- set text = bootstrap_text() ~ apply_database_settings(sets_database) -%}
        {%- set applied = false -%}
        {%- if run_query("select to_regclass('internal.schema_objects') is not null").columns[0].values()[0] -%}
            {%- set applied = is_applied('internal.settings', text) and (not sets_database or has_search_path and has_database_setting('jit')) -%}
        {%- endif -%}
        {%- if not applied -%}
            {%- if not sets_database -%}
                {% do log('search_path and jit of the database stay as they are, for it is shared or not ours to alter: name our tables with their schema (docs/operations.md)', info=true) %}
            {%- endif -%}
            select pg_advisory_xact_lock({{ build_lock_key() }});
            {{ text }}
            {{ mark_applied('internal.settings', text) }}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{% macro bootstrap_text() %}
    {{ create_schemas() }}
    {{ create_internal_tables() }}
    {% for name in bootstrap_functions() %}{{ context[name]() }}{% endfor %}
    {{ write_settings() }}
{% endmacro %}

{# In this order. A name here is a macro that renders `create or replace function …` or internal tables. #}
{% macro bootstrap_functions() %}
    {{ return([
        'create_internal_audit_epoch',
        'create_internal_dbt_results',
        'create_internal_demo_state',
        'create_internal_hierarchy_guards',
        'create_internal_password_findings',
        'create_internal_rollup_comparisons',
        'create_internal_verification',
        'create_function_text_fault',
        'create_function_validate_text',
        'create_function_email_fault',
        'create_function_validate_email',
        'create_function_validate_alert_times',
        'create_function_refuse_second_open_alert',
        'create_function_update_updated_at',
        'create_function_generate_audit_checksum',
        'create_function_audit_log_trigger',
        'create_function_prevent_audit_log_modification',
        'create_function_validate_permissions',
        'create_function_are_sha256',
        'create_function_slug_of',
        'create_function_refuse_bad_hierarchy',
        'create_function_refuse_system_role_change',
        'create_function_refuse_delete',
        'create_function_is_text_list',
        'create_function_validate_policy_rules',
        'create_function_publish_policy_version',
        'create_function_audit_row_change',
        'create_function_function_answers',
        'create_internal_quarantine',
        'create_internal_loads',
        'create_function_input_is_valid',
        'create_timescaledb_functions',
        'create_partition_functions',
        'create_retention_functions',
        'create_late_row_functions',
        'create_rollup_functions',
        'create_gap_functions',
        'create_rollup_version_functions',
        'create_comparison_functions',
        'create_move_functions',
        'validate_constraints',
    ]) }}
{% endmacro %}

{#
    A hook of its own before bootstrap: which engine there is, and so what bootstrap creates, can be found out only with
    the extension.
#}
{% macro create_extensions() %}
    {%- if execute and writes_schema() -%}
        {%- set missing = missing_extensions() -%}
        {%- if missing | length -%}
            select pg_advisory_xact_lock({{ build_lock_key() }});
            {% for name in missing %}create extension if not exists "{{ name }}" schema public;
            {% endfor %}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{# `create schema if not exists` asks for the right to create one also where it is there. #}
{% macro create_schemas() %}
do $$
declare
    wanted text;
begin
    foreach wanted in array array['core', 'rollups', 'reporting', 'internal'] loop
        if not exists (select from pg_namespace where nspname = wanted) then
            execute format('create schema %I', wanted);
        end if;
    end loop;
end $$;
{% endmacro %}

{% macro create_internal_tables() %}
create table if not exists internal.schema_objects (
    name text constraint schema_objects_pkey primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
);
comment on table internal.schema_objects is 'One row per object: checksum of the DDL that was applied last.';

create table if not exists internal.settings (
    name text constraint settings_pkey primary key,
    value text not null
);
comment on table internal.settings is 'dbt vars that SQL and Python need at run time; written by each build.';

create table if not exists internal.time_series (
    name text constraint time_series_pkey primary key,
    dropped_before timestamptz not null default '-infinity',
    closed_before timestamptz not null default '-infinity',
    closing timestamptz not null default '-infinity',
    closing_began timestamptz,
    closing_horizon xid8,
    gone tstzmultirange not null default '{}'
);
comment on table internal.time_series is 'One row per time-series table: how far raw rows were dropped, which spans within their retention are gone by hand, and how far its hours are closed.';

create table if not exists internal.time_series_parts (
    series text not null,
    part text not null,
    low timestamptz not null,
    high timestamptz not null,
    constraint time_series_parts_pkey primary key (series, part)
);
comment on table internal.time_series_parts is 'Partitions and chunks as they were last seen: one that is missing since was dropped or detached.';

create table if not exists internal.rollup_state (
    name text constraint rollup_state_pkey primary key,
    source text not null,
    parent text,
    kind text not null constraint rollup_state_kind_check check (kind in ('incremental', 'continuous_aggregate')),
    bucket text not null constraint rollup_state_bucket_check check (bucket in ('hour', 'day')),
    timezone text not null,
    definition text not null,
    watermark timestamptz,
    refreshed_at timestamptz,
    version integer not null default 1,
    starts_at timestamptz not null default '-infinity',
    grain text[] not null default '{}',
    query text,
    kept tstzmultirange not null default '{}'
);
comment on table internal.rollup_state is 'One row per rollup: its zone, its definition, the instant its present version begins at, the later spans that older versions keep, and the watermark up to which its buckets are stored.';

create table if not exists internal.rollup_history (
    rollup text not null,
    version integer not null,
    timezone text not null,
    definition text not null,
    grain text[] not null,
    ends_before timestamptz not null,
    replaced_at timestamptz not null default now(),
    constraint rollup_history_pkey primary key (rollup, version)
);
comment on table internal.rollup_history is 'One row per older version of a rollup that holds buckets raw rows no longer cover, in rollups.<rollup>_history_<version>.';

create table if not exists internal.invalidations (
    source text not null,
    slot timestamptz not null
);
comment on table internal.invalidations is 'Quarter hours of closed buckets that writers of a time-series table touched; append-only, emptied by refresh.';

create table if not exists internal.rollup_invalidations (
    rollup text not null,
    slot timestamptz not null,
    constraint rollup_invalidations_pkey primary key (rollup, slot)
);
comment on table internal.rollup_invalidations is 'Touched quarter hours that a rollup has still to recompute.';
{% endmacro %}

{% macro write_settings() %}
do $$
declare
    zone text := '{{ var("reporting_timezone") }}';
    built text;
begin
    perform now() at time zone zone;
    -- a shift by part of an hour (Lord Howe) would put one hour into two buckets
    if exists (
        select from generate_series(timestamptz '2000-01-01', now() + interval '1 year', interval '7 days') as t
        having count(distinct extract(minute from date_trunc('hour', t, zone) at time zone 'UTC')) > 1
    ) then
        raise exception 'reporting_timezone % shifts its clock by part of an hour, which hourly rollups cannot hold; choose another zone', zone;
    end if;
    -- `governance rebuild-rollups` empties the definitions
    select timezone into built from internal.rollup_state where timezone <> zone and definition <> '' limit 1;
    if found then
        raise exception 'the rollups were built in time zone %, not %; run `governance rebuild-rollups` to build them anew as far back as raw rows reach, or set reporting_timezone back', built, zone;
    end if;
end $$;
-- a longer retention brings nothing back of what the shorter one let go of, also by a background job
update internal.time_series as t
set dropped_before = greatest(t.dropped_before, now() - present.value::interval)
from internal.settings as present
inner join (values {% for name in ['llm_metrics', 'system_metrics'] -%}
    ('{{ name }}', interval '{{ var(name ~ "_retention") }}'){{ ', ' if not loop.last }}
{%- endfor %}) as wanted (name, retention) on present.name = wanted.name || '_retention'
where t.name = wanted.name and present.value::interval < wanted.retention;
insert into internal.settings (name, value)
values
    {% for name in recorded_vars() -%}
    ('{{ name }}', '{{ var(name) }}'),
    {% endfor -%}
    ('time_series_engine', '{{ time_series_engine() }}'),
    ('not_supported', '{{ engine_limits(time_series_engine()) }}')
on conflict (name) do update set value = excluded.value;
{% endmacro %}

{# What SQL and Python read at run time, and what else the shape of the database depends on: deep drift builds with them. #}
{% macro recorded_vars() %}
    {{ return([
        'reporting_timezone', 'default_currency', 'llm_metrics_retention', 'system_metrics_retention', 'partition_width',
        'partitions_ahead', 'refresh_patience', 'compress_after', 'late_rows_without_decompression', 'compress_rollups_after',
        'refresh_hourly_every', 'refresh_daily_every', 'verification_retention',
    ]) }}
{% endmacro %}
