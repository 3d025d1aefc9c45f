{#
    Compares a rollup with what its query makes of its source now. Both sides are reduced to a fingerprint of a span, so
    a comparison needs little memory and what it found can be kept.
#}
{% macro create_comparison_functions() %}
create or replace function internal.fingerprint_query(rollup_name text, relation text) returns text
language sql stable strict set search_path = pg_catalog, pg_temp
as $f$
    -- the hash of a numeric is that of its value, whatever its trailing zeros; sums of floats depend on the order of their rows
    select format(
        'select format(%L, count(*), coalesce(sum(hash_record_extended(row(%s), 0)), 0)), array[%s]::float8[] from %s as r',
        '%s:%s',
        string_agg(format('r.%I', a.attname), ', ' order by a.attname) filter (where a.atttypid <> 'float8'::regtype),
        string_agg(format('sum(r.%I), sum(abs(r.%I))', a.attname, a.attname), ', ' order by a.attname)
            filter (where a.atttypid = 'float8'::regtype),
        relation
    )
    from pg_attribute as a
    inner join internal.rollup_state as s on s.name = rollup_name
    where a.attrelid = internal.stored_relation(s.name, s.version)::regclass and a.attnum > 0 and not a.attisdropped
$f$;
comment on function internal.fingerprint_query(text, text) is 'Query for the fingerprint of rows of a rollup in a relation or subquery: their count and hash, and for each column of floats its sum and the sum of the absolute values.';

create or replace function internal.compare_rollup(
    rollup_name text, low timestamptz, high timestamptz, out stored text, out computed text, out differs boolean
)
language plpgsql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO' set extra_float_digits = 1
as $f$
declare
    state internal.rollup_state;
    stored_sums float8[];
    computed_sums float8[];
begin
    select * into state from internal.rollup_state where name = rollup_name;
    execute internal.fingerprint_query(
        rollup_name,
        format(
            '(select * from %s where bucket >= %L and bucket < %L)', internal.stored_relation(rollup_name, state.version), low, high
        )
    ) into stored, stored_sums;
    execute internal.fingerprint_query(
        rollup_name,
        '(' || replace(
            replace(
                state.query, $$ {{- in_rollup_window('time') -}} $$, format('(time >= %L and time < %L)', low, high)
            ),
            $$ {{- in_rollup_window('bucket') -}} $$, format('(bucket >= %L and bucket < %L)', low, high)
        ) || ')'
    ) into computed, computed_sums;
    differs := stored <> computed;
    for i in 1 .. coalesce(cardinality(stored_sums), 0) by 2 loop
        differs := differs or (
            stored_sums[i] is distinct from computed_sums[i]
            and coalesce(abs(stored_sums[i] - computed_sums[i]) > 1e-9 * (stored_sums[i + 1] + computed_sums[i + 1]), true)
        );
    end loop;
end $f$;
comment on function internal.compare_rollup(text, timestamptz, timestamptz) is 'Fingerprints of the stored buckets of a span and of what the rollup''s query makes of its source, and whether they differ.';
revoke all on function internal.compare_rollup(text, timestamptz, timestamptz) from public;

create or replace function internal.days_to_compare(older_than interval)
returns table (rollup text, low timestamptz, high timestamptz)
language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
    zone constant text := (select value from internal.settings where name = 'reporting_timezone');
    state internal.rollup_state;
    oldest timestamptz;
    gone tstzmultirange;
    {%- if has_continuous_aggregates() %}
    held tstzmultirange;
    {%- endif %}
begin
    for state in select r.* from internal.rollup_state as r where r.timezone = zone and r.watermark is not null order by r.name loop
        {%- if has_continuous_aggregates() %}
        -- where there is no chunk nothing was ever to refresh
        held := (select range_agg(tstzrange(p.low, p.high)) from internal.present_parts(state.source) as p);
        oldest := lower(held);
        {%- else %}
        execute format(
            'select least((select min(time) from core.%I), (select min(bucket) from %s))',
            state.source, internal.stored_relation(state.name, state.version)
        ) into oldest;
        {%- endif %}
        continue when oldest is null;
        -- older days are no longer covered by raw rows, or were stored by an older version, of the rollup or of its parent
        oldest := greatest(
            internal.first_bucket_from(
                greatest(
                    internal.raw_floor(state.source), state.starts_at,
                    (select p.starts_at from internal.rollup_state as p where p.name = state.parent)
                ),
                'day', zone
            ),
            date_trunc('day', oldest, zone)
        );
        gone := state.kept + (select t.gone from internal.time_series as t where t.name = state.source);
        return query
        select state.name, d.low, d.high
        from (
            select day at time zone zone as low, (day + interval '1 day') at time zone zone as high
            from generate_series(
                date_trunc('day', oldest at time zone zone), date_trunc('day', state.watermark at time zone zone) - interval '1 day', interval '1 day'
            ) as day
        ) as d
        left join internal.rollup_comparisons as c
            on c.rollup = state.name and c.low = d.low and c.high = d.high and c.version = state.version
        where not gone && tstzrange(d.low, d.high)
            {%- if has_continuous_aggregates() %}
            and held && tstzrange(d.low, d.high)
            {%- endif %}
            and (c.rollup is null or c.differs or c.compared_at < now() - older_than);
    end loop;
end $f$;
comment on function internal.days_to_compare(interval) is 'Closed days of the rollups that raw rows cover and that were not compared since, or differed.';
revoke all on function internal.days_to_compare(interval) from public;

create or replace function internal.compare_day(
    rollup_name text, day_low timestamptz, day_high timestamptz, keeps_difference boolean
) returns boolean
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    found record;
    before internal.rollup_comparisons;
    present integer := (select version from internal.rollup_state where name = rollup_name);
    changed text;
begin
    -- what waits for a refresh may differ
    if exists (
        select from ({{ pending_spans() }}) as pending
        inner join internal.rollup_state as r on r.name = rollup_name and pending.rollup in (r.name, r.parent)
        where pending.low < day_high and pending.high >= day_low
    ) then
        return null;
    end if;
    select * into found from internal.compare_rollup(rollup_name, day_low, day_high);
    if found.differs and not keeps_difference then
        return true;
    end if;
    select * into before from internal.rollup_comparisons where rollup = rollup_name and low = day_low and version = present;
    changed := case
        when not found.differs then null
        when before.fingerprint = found.stored then 'source'
        when before.fingerprint = found.computed then 'rollup'
        else 'unknown'
    end;
    insert into internal.rollup_comparisons as c (rollup, low, high, version, differs, equal_at, fingerprint, finding)
    values (
        rollup_name, day_low, day_high, present, found.differs,
        case when found.differs then before.equal_at else now() end,
        case when found.differs then before.fingerprint else found.computed end,
        changed
    )
    on conflict (rollup, low) do update
    set high = excluded.high, version = excluded.version, compared_at = now(), differs = excluded.differs,
        equal_at = excluded.equal_at, fingerprint = excluded.fingerprint, finding = excluded.finding;
    return found.differs;
end $f$;
comment on function internal.compare_day(text, timestamptz, timestamptz, boolean) is 'Compares a closed day of a rollup and keeps what was found, a difference only if told; null where late rows still wait for a refresh. To be called in a transaction of its own with one snapshot (repeatable read).';
revoke all on function internal.compare_day(text, timestamptz, timestamptz, boolean) from public;

create or replace procedure internal.recompute_rollups(series text, from_time timestamptz, to_time timestamptz)
language plpgsql
as $f$
declare
    rollup internal.rollup_state;
    {%- if has_continuous_aggregates() %}
    span pg_catalog.tstzrange;
    low pg_catalog.timestamptz;
    high pg_catalog.timestamptz;
    {%- endif %}
begin
{%- if has_continuous_aggregates() %}
    for rollup in
        select r.* from internal.rollup_state as r
        where r.source operator(pg_catalog.=) series
        order by r.parent is not null, r.name
    loop
        foreach span in array internal.refreshable_spans(series, rollup.bucket) loop
            low := greatest(pg_catalog.lower(span), pg_catalog.date_trunc(rollup.bucket, from_time, 'UTC'));
            high := least(pg_catalog.upper(span), internal.first_bucket_from(to_time, rollup.bucket, 'UTC'));
            commit;
            continue when low operator(pg_catalog.>=) high;
            call public.refresh_continuous_aggregate(
                internal.stored_relation(rollup.name, rollup.version)::pg_catalog.regclass, low, high, force => true
            );
        end loop;
    end loop;
{%- else %}
    insert into internal.invalidations (source, slot)
    select series, slot
    from pg_catalog.generate_series(
        pg_catalog.date_bin('15 minutes', from_time, '2000-01-01 00:00+00'),
        to_time operator(pg_catalog.-) interval '1 microsecond',
        '15 minutes'
    ) as t (slot);
    commit;
    for rollup in
        select r.* from internal.rollup_state as r
        where r.source operator(pg_catalog.=) series
        order by r.parent is not null, r.name
    loop
        call internal.refresh_rollup(rollup.name);
    end loop;
{%- endif %}
end $f$;
comment on procedure internal.recompute_rollups(text, timestamptz, timestamptz) is 'Recomputes the rollups of a time-series table over a span from the raw rows that are there; to be called outside a transaction.';
{% endmacro %}
