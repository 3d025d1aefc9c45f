{#
    Raw rows that somebody dropped or detached before their retention is over. Only the names of the parts tell: a late row
    makes a chunk or a partition of the same span anew. What rollups hold of a gone span stays as it is (decision 29).
#}
{% macro create_gap_functions() %}
create or replace function internal.widened(spans tstzmultirange, unit text, zone text) returns tstzmultirange
language sql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
    select coalesce(
        range_agg(tstzrange(date_trunc(unit, lower(s.span), zone), internal.first_bucket_from(upper(s.span), unit, zone))), '{}'
    )
    from unnest(spans) as s (span)
$f$;
comment on function internal.widened(tstzmultirange, text, text) is 'The spans of whole hours or days of a zone that overlap spans.';

create or replace function internal.holds_buckets(series text, span tstzrange) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    stored text;
    found boolean := false;
begin
    for stored in
        select internal.stored_relation(name, version) from internal.rollup_state where source = series and parent is null and bucket = 'hour'
    loop
        execute format(
            'select exists (select from %s where bucket > %L and bucket < %L)', stored, lower(span) - interval '1 hour', upper(span)
        ) into found;
        exit when found;
    end loop;
    return found;
end $f$;
comment on function internal.holds_buckets(text, tstzrange) is 'Whether the rollups of a time-series table have stored anything of a span.';

create or replace function internal.note_gone_parts(series text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
declare
    parent regclass := to_regclass(format('core.%I', series));
    floor timestamptz := internal.raw_floor(series);
    -- what no rollup had stored yet is nothing to keep
    judged tstzrange := tstzrange(
        floor, greatest(floor, (select max(r.watermark) from internal.rollup_state as r where r.source = series))
    );
    lost tstzmultirange;
begin
    if (select relkind from pg_class where oid = parent) = 'v' then
        return;  -- it is being moved to a hypertable, partition by partition
    end if;
    if exists (
        select k.part from internal.time_series_parts as k where k.series = note_gone_parts.series
        except
        select c.relname::text from pg_inherits as i inner join pg_class as c on c.oid = i.inhrelid where i.inhparent = parent
    ) then
        perform from internal.time_series where name = series for update;
        with missing as (
            delete from internal.time_series_parts as k
            where k.series = note_gone_parts.series
                and not exists (
                    select from pg_inherits as i inner join pg_class as c on c.oid = i.inhrelid
                    where i.inhparent = parent and c.relname = k.part
                )
            returning tstzrange(k.low, k.high) * judged as span
        )
        select range_agg(span) into lost from missing where not isempty(span) and internal.holds_buckets(series, span);
        update internal.time_series
        set gone = (gone + coalesce(lost, '{}')) * tstzmultirange(tstzrange(floor, null))
        where name = series;
    end if;
    if exists (
        select c.relname::text from pg_inherits as i inner join pg_class as c on c.oid = i.inhrelid where i.inhparent = parent
        except
        select k.part from internal.time_series_parts as k where k.series = note_gone_parts.series
    ) then
        insert into internal.time_series_parts (series, part, low, high)
        select series, p.part, p.low, p.high from internal.present_parts(series) as p
        on conflict do nothing;
    end if;
end $f$;
comment on function internal.note_gone_parts(text) is 'Compares the partitions or chunks of a time-series table with those seen last, and notes the spans that are gone and that rollups hold.';
revoke all on function internal.note_gone_parts(text) from public;

create or replace function internal.raw_rows_are_back(series text, low timestamptz, high timestamptz) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
begin
    perform internal.note_gone_parts(series);
    perform from internal.time_series where name = series for update;
    update internal.time_series set gone = gone - tstzmultirange(tstzrange(low, high)) where name = series;
    -- rows that were put back while the span was known to be gone are logged no more; continuous aggregates keep their log
    insert into internal.invalidations (source, slot)
    select series, t.slot
    from generate_series(date_bin('15 minutes', low, timestamptz '2000-01-01 00:00+00'), high - interval '1 microsecond', interval '15 minutes')
        as t (slot)
    where exists (select from internal.rollup_state as r where r.source = series and r.kind = 'incremental');
end $f$;
comment on function internal.raw_rows_are_back(text, timestamptz, timestamptz) is 'After raw rows that were gone have been put back: their buckets are computed from them again at the next refresh.';
revoke all on function internal.raw_rows_are_back(text, timestamptz, timestamptz) from public;
{%- if time_series_engine() == 'timescaledb' %}

create or replace function internal.refreshable_spans(series text, unit text) returns tstzrange[]
language sql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
    -- a refresh where there is no chunk erases; without rows there is nothing to refresh either
    select coalesce(array_agg(s.span order by s.span), '{}')
    from internal.time_series as t
    cross join lateral unnest(
        internal.widened((select range_agg(tstzrange(p.low, p.high)) from internal.present_parts(series) as p), unit, 'UTC')
        - internal.widened(t.gone, unit, 'UTC')
        -- never below the floor, and never into the running bucket, whose new rows it would hide
        - tstzmultirange(
            tstzrange(null, internal.first_whole_bucket(series, unit)), tstzrange(date_trunc(unit, now(), 'UTC'), null)
        )
    ) as s (span)
    where t.name = series
$f$;
comment on function internal.refreshable_spans(text, text) is 'The spans of closed hours or days whose raw rows are there as a whole, oldest first: where a continuous aggregate may be refreshed.';
{%- endif %}
{% endmacro %}
