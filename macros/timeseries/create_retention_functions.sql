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
{% endmacro %}
