{# Which buckets a refresh recomputes, and the procedures that bring rollups up to date. #}
{% macro create_refresh_functions() %}
create or replace function internal.bucket_end(bucket timestamptz, unit text) returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp
as $f$
    select case unit
        when 'hour' then bucket + interval '1 hour'
        -- of the day, not of its first instant: where clocks skip midnight that is later
        else (date_trunc('day', bucket at time zone z.value) + interval '1 day') at time zone z.value
    end
    from internal.settings as z
    where z.name = 'reporting_timezone'
$f$;
comment on function internal.bucket_end(timestamptz, text) is 'End of an hour or day bucket; days of the reporting zone have 23 to 25 hours.';

create or replace function internal.first_bucket_from(instant timestamptz, unit text, zone text) returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp
as $f$
    select case
        when b.low >= instant then b.low
        when unit = 'hour' then b.low + interval '1 hour'
        else (date_trunc('day', b.low at time zone zone) + interval '1 day') at time zone zone
    end
    from (select date_trunc(unit, instant, zone) as low) as b
$f$;
comment on function internal.first_bucket_from(timestamptz, text, text) is 'The first hour or day of a zone that begins at or after an instant.';

create or replace function internal.first_whole_bucket(source_name text, unit text) returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp
as $f$
    select internal.first_bucket_from(internal.raw_floor(source_name), unit, z.value)
    from internal.settings as z
    where z.name = 'reporting_timezone'
$f$;
comment on function internal.first_whole_bucket(text, text) is 'Oldest bucket that raw rows cover as a whole; older ones keep what is stored.';

create or replace function internal.rollup_watermark(rollup_name text) returns timestamptz
language sql stable strict parallel restricted security definer set search_path = pg_catalog, pg_temp
as $f$
    select coalesce(max(watermark), '-infinity') from internal.rollup_state where name = rollup_name
$f$;
comment on function internal.rollup_watermark(text) is 'Where the stored buckets of a rollup end; its view computes the newer ones when asked.';

create or replace function internal.begin_refresh(
    rollup_name text, unit text, out new_watermark timestamptz, out lows timestamptz[], out highs timestamptz[]
)
language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
declare
    zone text := (select value from internal.settings where name = 'reporting_timezone');
    state internal.rollup_state;
    first_whole timestamptz;
    since timestamptz;
    gone tstzmultirange;
begin
    select * into state from internal.rollup_state where name = rollup_name for update;
    if state.parent is null then
        perform internal.fan_out_invalidations(state.source);
        select date_trunc(unit, closed_before, zone) into new_watermark from internal.time_series where name = state.source;
    else
        select date_trunc(unit, watermark, zone) into new_watermark from internal.rollup_state where name = state.parent;
    end if;
    new_watermark := greatest(new_watermark, state.watermark);
    first_whole := greatest(internal.first_whole_bucket(state.source, unit), state.starts_at);
    since := greatest(state.watermark, first_whole);
    gone := state.kept + (select t.gone from internal.time_series as t where t.name = state.source);

    with pending as (
        delete from internal.rollup_invalidations where rollup = rollup_name returning slot
    ),
    touched as (
        select distinct date_trunc(unit, slot, zone) as low from pending
    ),
    spans as (
        select t.low, b.high
        from touched as t
        cross join lateral internal.bucket_end(t.low, unit) as b (high)
        where t.low >= first_whole and t.low < state.watermark and not gone && tstzrange(t.low, b.high)
        union all
        -- nothing is stored from the watermark on, so what is left of a gone span is all there is to count
        select lower(s.span), upper(s.span)
        from unnest(tstzmultirange(tstzrange(since, greatest(since, new_watermark))) - state.kept) as s (span)
    ),
    marked as (
        select low, high, lag(high) over (order by low) is distinct from low as starts from spans
    ),
    numbered as (
        select low, high, count(*) filter (where starts) over (order by low) as span from marked
    ),
    merged as (
        select min(low) as low, max(high) as high from numbered group by span
    )
    select array_agg(low order by low), array_agg(high order by low) into lows, highs from merged;

    -- one slot for each bucket of theirs: a new version recomputes years
    insert into internal.rollup_invalidations (rollup, slot)
    select distinct child.name, date_trunc(child.bucket, t.hour, zone)
    from unnest(lows, highs) as span (low, high)
    cross join lateral generate_series(span.low, span.high - interval '1 microsecond', interval '1 hour') as t (hour)
    cross join internal.rollup_state as child
    where child.parent = rollup_name and t.hour < child.watermark
    on conflict do nothing;

    update internal.rollup_state set watermark = new_watermark, refreshed_at = clock_timestamp() where name = rollup_name;
end $f$;
comment on function internal.begin_refresh(text, text) is 'Locks a rollup, moves its watermark and returns the spans of buckets to recompute.';

{% if time_series_engine() == 'timescaledb' %}
create or replace procedure internal.refresh_aggregate(rollup_name text, rollup_version integer, in_slices boolean)
language plpgsql
as $f$
declare
    state internal.rollup_state;
    span pg_catalog.tstzrange;
    low pg_catalog.timestamptz;
    high pg_catalog.timestamptz;
begin
    select r.* into state from internal.rollup_state as r where r.name operator(pg_catalog.=) rollup_name;
    perform internal.note_gone_parts(state.source);
    foreach span in array internal.refreshable_spans(state.source, state.bucket) loop
        low := pg_catalog.lower(span);
        while low operator(pg_catalog.<) pg_catalog.upper(span) loop
            high := pg_catalog.upper(span);
            if in_slices then
                -- the oldest first and each in a transaction of its own, for their raw rows are the next to be dropped
                high := least(high, low operator(pg_catalog.+) interval '28 days');
            end if;
            commit;
            call public.refresh_continuous_aggregate(
                internal.stored_relation(rollup_name, rollup_version)::pg_catalog.regclass, low, high
            );
            low := high;
        end loop;
    end loop;
    commit;
end $f$;
comment on procedure internal.refresh_aggregate(text, integer, boolean) is 'Refreshes a version of a rollup that is a continuous aggregate; to be called outside a transaction.';

create or replace function internal.note_refreshed(rollup_name text, rollup_version integer, refresh_began timestamptz) returns void
language sql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
    -- buckets that had ended by then, and never above what the rollup reads
    update internal.rollup_state as r
    set
        watermark = greatest(r.watermark, least(
            date_trunc(r.bucket, refresh_began, 'UTC'),
            (select coalesce(date_trunc(r.bucket, p.watermark, 'UTC'), '-infinity') from internal.rollup_state as p where p.name = r.parent)
        )),
        refreshed_at = clock_timestamp()
    where r.name = rollup_name and r.version = rollup_version
$f$;
comment on function internal.note_refreshed(text, integer, timestamptz) is 'Moves the watermark of a rollup that is a continuous aggregate to the last bucket that had ended when a refresh of it began.';
revoke all on function internal.note_refreshed(text, integer, timestamptz) from public;
{% endif %}
create or replace procedure internal.refresh_rollup(rollup_name text)
language plpgsql
as $f$
declare
    state internal.rollup_state;
    old_version integer;
    began pg_catalog.timestamptz;
begin
    select r.* into state from internal.rollup_state as r where r.name operator(pg_catalog.=) rollup_name;
    if state.name is null then
        raise exception 'there is no rollup %; `select name from internal.rollup_state` lists them', rollup_name;
    end if;
    if exists (
        select from internal.settings as s
        where s.name operator(pg_catalog.=) 'reporting_timezone' and s.value operator(pg_catalog.<>) state.timezone
    ) then
        raise exception 'rollups.% is stored by days of %, which is not reporting_timezone; run `governance rebuild-rollups`', rollup_name, state.timezone;
    end if;
{%- if time_series_engine() == 'timescaledb' %}
    -- the continuous aggregates of other rollups may still be built on an older one
    foreach old_version in array (
        select coalesce(pg_catalog.array_agg(v.version), '{}')
        from pg_catalog.generate_series(1, state.version operator(pg_catalog.-) 1) as v (version)
        inner join pg_catalog.pg_class as c
            on c.oid operator(pg_catalog.=) pg_catalog.to_regclass(internal.stored_relation(rollup_name, v.version)) and c.relkind operator(pg_catalog.=) 'v'
    ) loop
        call internal.refresh_aggregate(rollup_name, old_version, false);
    end loop;
    if state.kind operator(pg_catalog.=) 'continuous_aggregate' then
        began := pg_catalog.now();
        call internal.refresh_aggregate(rollup_name, state.version, state.refreshed_at is null);
        perform internal.note_refreshed(rollup_name, state.version, began);
        {{ name_new_models() }}
        commit;
        return;
    end if;
{%- endif %}
    call internal.close_hours(state.source);
    execute pg_catalog.format('select internal.%I()', 'refresh_' operator(pg_catalog.||) rollup_name);
    {{ name_new_models() }}
    commit;
end $f$;
comment on procedure internal.refresh_rollup(text) is 'Brings one rollup up to the last closed bucket; to be called outside a transaction.';

create or replace procedure internal.refresh_rollups()
language plpgsql
as $f$
declare
    rollup text;
begin
    call internal.make_partitions_ahead();
    foreach rollup in array (
        select coalesce(pg_catalog.array_agg(r.name order by r.parent is not null, r.name), '{}') from internal.rollup_state as r
    ) loop
        call internal.refresh_rollup(rollup);
    end loop;
    perform internal.find_budget_crossings();
    perform internal.settle_closed_periods();
    commit;
end $f$;
comment on procedure internal.refresh_rollups() is 'Makes partitions ahead, refreshes every rollup, those read by others first, looks for crossings of budgets and settles closed months; to be called outside a transaction.';
{% endmacro %}

{# What applications wrote has its names with the rollup that has each provider and model by itself. #}
{% macro name_new_models() -%}
if rollup_name operator(pg_catalog.=) 'llm_model_daily' then perform internal.refresh_model_names(); end if;
{%- endmacro %}
