{#
    Late rows into compressed chunks. Looking for a conflict there costs 4 ms a row, so for many rows a chunk is
    decompressed first and compressed again at the end of the load. What a killed load leaves decompressed, the
    compression policy compresses.
#}
{% macro create_late_row_functions() %}
create or replace function internal.open_chunks(series text, days timestamptz[], counts bigint[]) returns text[]
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $f$
{%- if time_series_engine() == 'timescaledb' %}
declare
    chunk record;
    opened text[] := '{}';
begin
    for chunk in
        select format('%I.%I', c.chunk_schema, c.chunk_name) as name
        from timescaledb_information.chunks as c
        inner join unnest(days, counts) as d (day, rows) on d.day < c.range_end and d.day + interval '1 day' > c.range_start
        where c.hypertable_schema = 'core' and c.hypertable_name = series and c.is_compressed
        group by 1
        having sum(d.rows) > {{ var("late_rows_without_decompression") }}
    loop
        perform public.decompress_chunk(chunk.name::regclass, true);
        opened := opened || chunk.name;
    end loop;
    return opened;
end $f$;
{%- else %}
begin
    return '{}';  -- this engine compresses nothing
end $f$;
{%- endif %}
comment on function internal.open_chunks(text, timestamptz[], bigint[]) is 'Decompresses the chunks that get many late rows, given as rows per day of UTC; returns their names for close_chunks.';
revoke all on function internal.open_chunks(text, timestamptz[], bigint[]) from public;

create or replace function internal.close_chunks(chunks text[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $f$
{%- if time_series_engine() == 'timescaledb' %}
declare
    chunk text;
begin
    for chunk in
        select format('%I.%I', c.chunk_schema, c.chunk_name)
        from timescaledb_information.chunks as c
        -- nothing else with the owner's rights
        where c.hypertable_schema = 'core' and format('%I.%I', c.chunk_schema, c.chunk_name) = any (chunks)
    loop
        perform public.compress_chunk(chunk::regclass, true);
    end loop;
end $f$;
{%- else %}
begin
    return;
end $f$;
{%- endif %}
comment on function internal.close_chunks(text[]) is 'Compresses again what open_chunks decompressed.';
revoke all on function internal.close_chunks(text[]) from public;
{% endmacro %}
