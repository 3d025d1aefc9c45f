{# Dropping raw rows past their retention, whole partitions or chunks at a time. Rollups stay. #}
{% macro create_retention_functions() %}
create or replace function internal.drop_raw(series text, older_than timestamptz)
returns table (dropped text, rows bigint)
language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
declare
    parent regclass := format('core.%I', series)::regclass;
    default_partition regclass := (select partdefid from pg_partitioned_table where partrelid = parent);
    part record;
begin
    -- first the floor, in the same transaction: no refresh may recompute a bucket from what is left
    update internal.time_series set dropped_before = greatest(dropped_before, older_than) where name = series;
    if default_partition is not null then
        for part in select p.partition, p.high from internal.partition_ranges(parent) as p where p.high <= older_than order by p.low loop
            dropped := part.partition::text;
            execute format('select count(*) from %s', part.partition) into rows;
            execute format('drop table %s', part.partition);
            return next;
        end loop;
        execute format('delete from %s where time < %L', default_partition, older_than);
        get diagnostics rows = row_count;
        if rows > 0 then
            dropped := default_partition::text;
            return next;
        end if;
{%- if time_series_engine() != 'postgres' %}
    else
        for part in select c::regclass as chunk from public.show_chunks(parent, older_than => older_than) as c loop
            dropped := part.chunk::text;
            execute format('select count(*) from %s', part.chunk) into rows;
            return next;
        end loop;
        perform public.drop_chunks(parent, older_than => older_than);
{%- endif %}
    end if;
end $f$;
comment on function internal.drop_raw(text, timestamptz) is 'Drops the partitions or chunks of a time-series table that end at or before an instant; returns them with their rows.';
revoke all on function internal.drop_raw(text, timestamptz) from public;

create or replace function internal.drop_past_retention(series text)
returns table (dropped text, rows bigint, older_than timestamptz)
-- the owner's: who runs the warehouse drops what is past its retention, and nothing else
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
declare
    floor constant timestamptz := internal.raw_floor(series);
begin
    if not exists (select from internal.time_series as t where t.name = series) then
        raise exception 'there is no time-series table %; `select name from internal.time_series` lists them', series;
    end if;
    return query select d.dropped, d.rows, floor from internal.drop_raw(series, floor) as d;
end $f$;
comment on function internal.drop_past_retention(text) is 'Drops the partitions or chunks of a time-series table that are past its retention; returns them with their rows and the instant.';
revoke all on function internal.drop_past_retention(text) from public;
{% endmacro %}
