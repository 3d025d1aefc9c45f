{# Each takes locks that the transaction keeps. #}
{% macro partitions_per_call() %}{{ return(200) }}{% endmacro %}

{% macro create_partition_functions() %}
create or replace function internal.guard_partition(partition regclass) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    trigger record;
begin
    for trigger in
        select
            replace(
                pg_get_triggerdef(t.oid), format(' ON %s ', i.inhparent::regclass), format(' ON %s ', partition)
            ) as definition,
            t.tgname as name,
            t.tgenabled = 'A' as fires_always
        from pg_inherits as i
        inner join pg_trigger as t on t.tgrelid = i.inhparent and not t.tgisinternal
        -- those of rows are PostgreSQL's to copy
        where i.inhrelid = partition and t.tgtype & 1 = 0
    loop
        execute 'create or replace ' || substr(trigger.definition, length('create ') + 1);
        if trigger.fires_always then
            execute format('alter table %s enable always trigger %I', partition, trigger.name);
        end if;
    end loop;
end $f$;
comment on function internal.guard_partition(regclass) is 'Gives a partition the statement triggers of its table, which do not fire for a statement on the partition itself.';
revoke all on function internal.guard_partition(regclass) from public;

create or replace function internal.raw_floor(source text) returns timestamptz
language sql stable set search_path = pg_catalog, pg_temp
as $f$
    select greatest(
        now() - (select value from internal.settings where name = source || '_retention')::interval,
        (select dropped_before from internal.time_series where name = source)
    )
$f$;
comment on function internal.raw_floor(text) is 'Oldest instant whose raw rows are complete: the later of now - retention and the last drop.';

create or replace function internal.ensure_partitions(parent regclass, from_time timestamptz, to_time timestamptz)
returns integer
-- the owner's: who runs the warehouse owns no table of core
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
declare
    width interval := (select value from internal.settings where name = 'partition_width')::interval;
    origin constant timestamptz := '2000-01-03 00:00+00';  -- a Monday
    namespace text := (select relnamespace::regnamespace::text from pg_class where oid = parent);
    parent_name text := (select relname from pg_class where oid = parent);
    default_partition regclass := (select partdefid from pg_partitioned_table where partrelid = parent);
    columns text;
    first timestamptz;
    low timestamptz;
    high timestamptz;
    partition text;
    made integer := 0;
begin
    if default_partition is null then
        return 0;  -- a hypertable makes its chunks itself
    end if;
    if namespace <> 'core' then
        raise exception '% is no time-series table of this project', parent using errcode = 'insufficient_privilege';
    end if;
    select string_agg(quote_ident(attname), ', ' order by attnum)
    into columns
    from pg_attribute
    where attrelid = parent and attnum > 0 and not attisdropped and attgenerated = '';

    -- a partition made anew has the name of one that was dropped by hand; before any lock that a refresh may wait for
    perform internal.note_gone_parts(parent_name);
    first := date_bin(width, from_time, origin);
    if to_time - first > 10000 * width then
        raise exception 'from % to % are more than 10,000 partitions of %; make them where rows are: `call internal.partition_default_rows(''%'')`',
            from_time, to_time, width, parent_name;
    end if;
    for low in
        with present as materialized (
            select r.low, r.high from internal.partition_ranges(parent) as r
        )
        select d from generate_series(first, to_time, width) as d
        where not exists (select from present where present.low < d + width and present.high > d)
        order by d
        limit {{ partitions_per_call() }}
    loop
        high := low + width;
        partition := format('%I.%I', namespace, parent_name || to_char(low, '_YYYYMMDD'));
        perform pg_advisory_xact_lock({{ lock_key('build') }}, parent::integer);
        if not internal.is_covered(parent, low, high) then
            -- made apart and attached, which does not stop writers of other partitions
            execute format('lock table %s in share row exclusive mode', default_partition);
            execute format(
                'create table %s (like %s including defaults including constraints including generated including storage)',
                partition, parent
            );
            execute format(
                'with moved as (delete from %s where time >= %L and time < %L returning *) insert into %s (%s) select %s from moved',
                default_partition, low, high, partition, columns, columns
            );
            execute format('alter table %s attach partition %s for values from (%L) to (%L)', parent, partition, low, high);
            perform internal.guard_partition(partition::regclass);
        end if;
        made := made + 1;
    end loop;
    return made;
end $f$;
comment on function internal.ensure_partitions(regclass, timestamptz, timestamptz) is 'Makes missing partitions of a table for a span of time, {{ partitions_per_call() }} a call at most, and moves their rows out of the default partition; returns how many, and 0 once none is missing.';
revoke all on function internal.ensure_partitions(regclass, timestamptz, timestamptz) from public;

create or replace function internal.partition_ranges(parent regclass)
returns table (partition regclass, low timestamptz, high timestamptz)
language sql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
    select
        c.oid::regclass,
        substring(pg_get_expr(c.relpartbound, c.oid) from $$FROM \('([^']+)'\)$$)::timestamptz,
        substring(pg_get_expr(c.relpartbound, c.oid) from $$TO \('([^']+)'\)$$)::timestamptz
    from pg_inherits as i
    inner join pg_class as c on c.oid = i.inhrelid
    where i.inhparent = parent and pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'
$f$;
comment on function internal.partition_ranges(regclass) is 'One row per partition of a table, without the default partition: its half-open span.';

create or replace function internal.is_covered(parent regclass, from_time timestamptz, to_time timestamptz)
returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $f$
    select exists (select from internal.partition_ranges(parent) where low < to_time and high > from_time)
$f$;
comment on function internal.is_covered(regclass, timestamptz, timestamptz) is 'Whether a partition overlaps the half-open span.';

create or replace function internal.present_parts(series text)
returns table (part text, low timestamptz, high timestamptz)
language sql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
{%- if time_series_engine() == 'postgres' %}
    select c.relname, p.low, p.high
    from internal.partition_ranges(to_regclass(format('core.%I', series))) as p
    inner join pg_class as c on c.oid = p.partition
{%- else %}
    select c.chunk_name, c.range_start, c.range_end
    from timescaledb_information.chunks as c
    where c.hypertable_schema = 'core' and c.hypertable_name = series
{%- endif %}
$f$;
comment on function internal.present_parts(text) is 'One row per partition or chunk of a time-series table, without the default partition: its half-open span.';

create or replace procedure internal.partition_default_rows(series text)
language plpgsql
as $f$
declare
    parent pg_catalog.regclass := pg_catalog.to_regclass(pg_catalog.format('core.%I', series));
    default_partition pg_catalog.regclass := (select p.partdefid from pg_catalog.pg_partitioned_table as p where p.partrelid operator(pg_catalog.=) parent);
    width pg_catalog.interval := (select s.value from internal.settings as s where s.name operator(pg_catalog.=) 'partition_width');
    -- what is older is retention's, what lies far ahead is no usage
    since pg_catalog.timestamptz := internal.raw_floor(series);
    until pg_catalog.timestamptz := pg_catalog.now() operator(pg_catalog.+) interval '1 year';
begin
    if default_partition is null then
        return;  -- a hypertable has none
    end if;
    loop
        execute pg_catalog.format(
            'select pg_catalog.min(time) from %s where time operator(pg_catalog.>=) %L and time operator(pg_catalog.<) %L', default_partition, since, until
        ) into since;
        exit when since is null;
        perform internal.ensure_partitions(parent, since, since);
        commit;
        since := pg_catalog.date_bin(width, since, timestamptz '2000-01-03 00:00+00') operator(pg_catalog.+) width;
    end loop;
end $f$;
comment on procedure internal.partition_default_rows(text) is 'Makes partitions where the default partition holds rows, and moves them there, a partition in a transaction; to be called outside one.';

create or replace procedure internal.make_partitions_ahead()
language plpgsql
as $f$
declare
    ahead pg_catalog.interval := (select s.value from internal.settings as s where s.name operator(pg_catalog.=) 'partitions_ahead');
    series text;
begin
    foreach series in array (select coalesce(pg_catalog.array_agg(t.name order by t.name), '{}') from internal.time_series as t) loop
        begin
            set local lock_timeout = '2s';
            perform internal.ensure_partitions(
                pg_catalog.format('core.%I', series)::pg_catalog.regclass,
                pg_catalog.now(),
                pg_catalog.now() operator(pg_catalog.+) ahead
            );
        exception when lock_not_available then
            -- rows go to the default partition meanwhile, and from there into the partition once it is made
            raise warning 'partitions of % could not be made ahead: a transaction holds its default partition', series;
        end;
        commit;
    end loop;
end $f$;
comment on procedure internal.make_partitions_ahead() is 'Makes the partitions of the coming weeks; to be called outside a transaction.';
{% endmacro %}
