{% macro write_settings() %}
do $$
declare
    zone text := '{{ var("reporting_timezone") }}';
    built text;
begin
    perform now() at time zone zone;
    if '{{ var("cost_precedence") }}' not in ('source', 'prices') then
        raise exception 'cost_precedence is %, which is neither source nor prices; set which cost counts where there are both', '{{ var("cost_precedence") }}';
    end if;
    -- a shift by part of an hour (Lord Howe) would put one hour into two buckets
    if exists (
        select from generate_series(timestamptz '2000-01-01', now() + interval '1 year', interval '7 days') as t
        having count(distinct extract(minute from date_trunc('hour', t, zone) at time zone 'UTC')) > 1
    ) then
        raise exception 'reporting_timezone % shifts its clock by part of an hour, which hourly rollups cannot hold; choose another zone', zone;
    end if;
    -- a day with two midnights (Azores, Havana) would begin after its first hour
    if exists (
        select from generate_series(
            date_trunc('day', now() at time zone zone - interval '{{ var("llm_metrics_retention") }}'),
            now() at time zone zone + interval '1 year', interval '1 day'
        ) as t (midnight)
        where (t.midnight at time zone zone - interval '1 hour') at time zone zone = t.midnight
    ) then
        raise exception 'reporting_timezone % puts its clock back over midnight, so that a day has two, which daily rollups cannot hold; choose another zone', zone;
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
        'refresh_hourly_every', 'refresh_daily_every', 'verification_retention', 'cost_precedence',
    ]) }}
{% endmacro %}
