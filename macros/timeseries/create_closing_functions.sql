{#
    The engine-independent part of an incremental rollup. How an hour is closed without stopping writers and without losing
    a row: `begin_closing` raises the threshold below which writers log what they touch. A later transaction takes
    its own number as the horizon; once every older one has ended (`settle_closing`), no unlogged row below the threshold
    can appear any more, and rollups may store the buckets up to it. (The xmax of a snapshot is no such horizon: it
    is the newest transaction that ended, and a writer may have a higher number.)
#}
{% macro create_closing_functions() %}
create or replace function internal.refuse_truncate() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
begin
    raise exception '% cannot be truncated: its rollups would no longer match; delete rows, or drop old partitions by retention', tg_table_name
        using errcode = 'restrict_violation';
end $f$;
comment on function internal.refuse_truncate() is 'Refuses TRUNCATE of a time-series table, which no row trigger would see.';

create or replace function internal.begin_closing(source_name text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    zone text := (select value from internal.settings where name = 'reporting_timezone');
    target timestamptz := date_trunc('hour', clock_timestamp(), zone);
    state internal.time_series;
begin
    select * into state from internal.time_series where name = source_name for update;
    if state.closing > state.closed_before or state.closing >= target then
        return;  -- one threshold at a time: a later one would start the wait for open transactions anew
    end if;
    perform setval(format('internal.%I', source_name || '_closing'), extract(epoch from target)::bigint);
    update internal.time_series
    set closing = target, closing_began = clock_timestamp(), closing_horizon = null
    where name = source_name;
end $f$;
comment on function internal.begin_closing(text) is 'Raises the closing threshold of a time-series table to the start of the current hour.';

create or replace function internal.settle_closing(source_name text) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    settled boolean;
begin
    update internal.time_series
    set closing_horizon = pg_current_xact_id()
    where name = source_name and closing > closed_before and closing_horizon is null;
    update internal.time_series
    set closed_before = closing
    where name = source_name
        and closing > closed_before
        and pg_snapshot_xmin(pg_current_snapshot()) >= closing_horizon;
    select closed_before >= closing into settled from internal.time_series where name = source_name;
    return settled;
end $f$;
comment on function internal.settle_closing(text) is 'Whether every transaction older than the closing threshold has ended; then hours below it count as closed. To be called in a later transaction than begin_closing.';

create or replace function internal.fan_out_invalidations(source_name text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
begin
    perform internal.note_gone_parts(source_name);
    perform from internal.time_series where name = source_name for update;
    with logged as (
        delete from internal.invalidations where source = source_name returning slot
    )
    insert into internal.rollup_invalidations (rollup, slot)
    select r.name, l.slot
    from (select distinct slot from logged) as l
    cross join internal.rollup_state as r
    where r.source = source_name and r.parent is null
    on conflict do nothing;
end $f$;
comment on function internal.fan_out_invalidations(text) is 'Hands the logged quarter hours of a time-series table to each rollup that reads it.';

create or replace procedure internal.close_hours(source_name text)
language plpgsql
as $f$
-- no `set search_path`: a procedure that commits may not have one, so every name here is qualified
declare
    patience pg_catalog.interval := (select s.value from internal.settings as s where s.name operator(pg_catalog.=) 'refresh_patience');
    deadline pg_catalog.timestamptz;
begin
    perform internal.begin_closing(source_name);
    commit;
    -- counted from the threshold's rise, so that the rollups of one source wait once, not each
    deadline := (
        select t.closing_began operator(pg_catalog.+) patience from internal.time_series as t where t.name operator(pg_catalog.=) source_name
    );
    while not internal.settle_closing(source_name) and pg_catalog.clock_timestamp() operator(pg_catalog.<) deadline loop
        perform pg_catalog.pg_sleep(0.02);
    end loop;
    commit;
end $f$;
comment on procedure internal.close_hours(text) is 'Closes the hours up to the running one, or as far as open transactions allow; to be called outside a transaction.';
{% endmacro %}
