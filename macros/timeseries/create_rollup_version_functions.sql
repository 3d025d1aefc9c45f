{#
    A rollup whose definition, kind or zone changes gets a new version, stored anew from raw rows. Buckets that raw rows no
    longer cover are kept as readers saw them, in <rollup>_history_<version>; the view unites both (decision 14).
#}
{% macro create_rollup_version_functions() %}
create or replace function internal.stored_relation(rollup_name text, version integer) returns text
language sql immutable strict set search_path = pg_catalog, pg_temp
as $f$
    select format('rollups.%I', rollup_name || '_stored' || case when version > 1 then '_' || version else '' end)
$f$;
comment on function internal.stored_relation(text, integer) is 'Table or continuous aggregate that holds the buckets of a version of a rollup.';

create or replace function internal.history_relation(rollup_name text, version integer) returns text
language sql immutable strict set search_path = pg_catalog, pg_temp
as $f$
    select format('rollups.%I', rollup_name || '_history_' || version)
$f$;
comment on function internal.history_relation(text, integer) is 'Table that keeps the buckets of an older version of a rollup, which raw rows no longer cover.';

create or replace function internal.replace_version(
    rollup_name text, new_kind text, new_definition text, new_grain text[], new_query text, indexes text[], first_part text, parent_query text
) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
declare
    zone text := (select value from internal.settings where name = 'reporting_timezone');
    state internal.rollup_state;
    history text;
    shared text;
    -- old buckets that raw rows don't cover, and the new ones they take: the same spans, unless days begin elsewhere now
    old_kept tstzmultirange;
    new_kept tstzmultirange;
    span tstzrange;
    kept bigint;
    wanted text;
begin
    select * into state from internal.rollup_state where name = rollup_name for update;
    perform internal.note_gone_parts(state.source);
    perform from internal.time_series where name = state.source for update;
    old_kept := tstzmultirange(tstzrange(null, greatest(
            state.starts_at, internal.first_bucket_from(internal.raw_floor(state.source), state.bucket, state.timezone)
        )))
        + state.kept
        -- what is not stored yet is made of what is there
        + internal.widened((select t.gone from internal.time_series as t where t.name = state.source), state.bucket, state.timezone)
            * tstzmultirange(tstzrange(null, coalesce(state.watermark, date_trunc(state.bucket, now(), state.timezone))));
    new_kept := internal.widened(old_kept, state.bucket, zone);
    if upper(new_kept) > date_trunc('hour', now(), zone) then
        raise exception 'raw rows of % up to % are gone, and the hours of that day that are still to come would not be counted; build again a day later',
            state.source, to_char(upper(old_kept) at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"');
    end if;
    history := internal.history_relation(rollup_name, state.version);

    execute format(
        -- TimescaleDB can't plan a condition of a time and a constant multirange
        'create table %s as select r.* from rollups.%I as r where r.bucket >= %L and r.bucket < %L'
        ' and exists (select from unnest(%L::tstzmultirange) as k (span) where r.bucket <@ k.span)',
        history, rollup_name, state.starts_at, upper(old_kept), old_kept - state.kept
    );
    -- what lies between is counted once, in the new zone's bucket, which is never recomputed
    foreach span in array array(select s from unnest(new_kept - old_kept) as s) loop
        if parent_query is not null then
            execute 'create temp view governance_parent as ' || replace(replace(
                parent_query, '{low}', format('timestamptz %L', lower(span))), '{high}', format('timestamptz %L', upper(span))
            );
        end if;
        execute 'create temp view governance_first as ' || replace(replace(
            first_part, '{low}', format('timestamptz %L', lower(span))), '{high}', format('timestamptz %L', upper(span))
        );
        select string_agg(quote_ident(h.attname), ', ')
        into shared
        from pg_attribute as h
        inner join pg_attribute as f on f.attname = h.attname and f.attrelid = 'pg_temp.governance_first'::regclass
        where h.attrelid = history::regclass and h.attnum > 0;
        execute format('insert into %s (%s) select %s from pg_temp.governance_first', history, shared, shared);
        drop view pg_temp.governance_first;
        drop view if exists pg_temp.governance_parent;
    end loop;
    execute format('select count(*) from %s', history) into kept;
    if kept = 0 then
        execute format('drop table %s', history);
    else
        execute format('alter table %s add constraint %I check (bucket < %L)', history, rollup_name || '_history_' || state.version || '_check', upper(new_kept));
        execute format('comment on table %s is %L', history, format('Buckets of %s that raw rows no longer covered when version %s was replaced; read the view of that name.', rollup_name, state.version));
        foreach wanted in array indexes loop
            if not exists (
                select from unnest(string_to_array(wanted, ', ')) as c (name)
                where not exists (select from pg_attribute where attrelid = history::regclass and attname = c.name)
            ) then
                execute format('create index on %s (%s)', history, wanted);
            end if;
        end loop;
        execute format('analyze %s', history);
        insert into internal.rollup_history (rollup, version, timezone, definition, grain, ends_before)
        values (rollup_name, state.version, state.timezone, state.definition, state.grain, upper(new_kept));
    end if;
    update internal.rollup_state
    set version = state.version + 1, kind = new_kind, timezone = zone, definition = new_definition, grain = new_grain,
        query = new_query, starts_at = f.cut, kept = new_kept - tstzmultirange(tstzrange(null, f.cut)), watermark = null, refreshed_at = null
    from (select upper(s.span) as cut from unnest(new_kept) as s (span) where lower_inf(s.span)) as f
    where name = rollup_name;
end $f$;
comment on function internal.replace_version(text, text, text, text[], text, text[], text, text) is 'Keeps what raw rows no longer cover of a rollup and makes way for its next version.';

create or replace function internal.drop_superseded() returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp set lock_timeout = '300ms'
as $f$
declare
    part record;
begin
    for part in select name from internal.rollup_state where kind = 'continuous_aggregate' loop
        execute format('drop function if exists internal.%I()', 'refresh_' || part.name);
    end loop;
{%- if time_series_engine() == 'timescaledb' %}
    perform public.delete_job(j.job_id)
    from timescaledb_information.jobs as j
    where j.proc_schema = 'internal' and j.proc_name = 'refresh_in_background'
        and not exists (
            select from internal.rollup_state as r where r.name = j.config ->> 'rollup' and r.kind = 'continuous_aggregate'
        );
{%- endif %}
    for part in
        select
            case c.relkind when 'v' then 'materialized view' else 'table' end as kind,
            c.oid::regclass as relation,
            case when r.parent is null then 2 else 1 end as place  -- readers first
        from internal.rollup_state as r
        cross join generate_series(1, r.version + 1) as v (version)
        inner join pg_class as c on c.oid = to_regclass(internal.stored_relation(r.name, v.version))
        where v.version <> r.version
            -- a next version is given up only where no other session is filling it (store_next_version)
            and (v.version < r.version or pg_try_advisory_xact_lock({{ lock_key('build') }}, hashtext(r.name)))
        union all
        -- the closing threshold of a table whose rollups are all continuous aggregates, and whose writers log nothing any more
        select 'sequence', to_regclass(format('internal.%I', r.source || '_closing')), 3
        from internal.rollup_state as r
        where to_regclass(format('internal.%I', r.source || '_closing')) is not null
            and not exists (
                select from pg_trigger where tgrelid = format('core.%I', r.source)::regclass and tgname = r.source || '_log_insert'
            )
        group by r.source
        having bool_and(r.kind = 'continuous_aggregate')
        order by place
    loop
        -- short steps, each of which gives back what it locked: a background job may hold one part and want another
        for attempt in 1 .. 10 loop
            begin
                execute format('drop %s %s', part.kind, part.relation);
                exit;
            exception
                when dependent_objects_still_exist then
                    raise notice '% stays until the continuous aggregates that read it have been replaced', part.relation;
                    exit;
                when lock_not_available or deadlock_detected then
                    if attempt = 10 then
                        raise notice '% stays until the next build: another transaction keeps it locked', part.relation;
                    end if;
                    perform pg_sleep(0.05 + random() * 0.1);
            end;
        end loop;
    end loop;
end $f$;
comment on function internal.drop_superseded() is 'Drops what older versions of the rollups were stored in and nothing reads any more, and a next one that was given up.';
{% endmacro %}
