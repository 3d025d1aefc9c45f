{#
    From native partitions to hypertables, a partition at a time, with right answers meanwhile: core.<series> becomes a view over
    the hypertable that is being filled (in internal) and the partitions that are left (in moving). How far it is, the
    catalog says; orchestration/lib/warehouse/hypertables.py takes the steps.
#}
{% macro create_move_functions() %}
create or replace function internal.refuse_while_moving() returns trigger
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
begin
    raise exception '% is being moved to a hypertable: nothing can be written to it until `governance move-to-hypertables` has ended', tg_table_name
        using errcode = 'object_not_in_prerequisite_state';
end $f$;
comment on function internal.refuse_while_moving() is 'Refuses writes to a time-series table that is being moved.';

create or replace function internal.redirecting_statements(relation regclass) returns text[]
language plpgsql stable set search_path = pg_catalog, pg_temp
as $f$
declare
    stored text;
begin
    select string_agg(c.oid::regclass::text, ', ')
    into stored
    from pg_depend as d
    inner join pg_rewrite as r on r.oid = d.objid
    inner join pg_class as c on c.oid = r.ev_class and c.relkind = 'm'
    where d.classid = 'pg_rewrite'::regclass and d.refobjid = relation;
    if stored is not null then
        raise exception '% reads %: drop it, and create it again after the move', stored, relation;
    end if;
    return array(
        select distinct 'create or replace ' || substr((internal.view_statements(r.ev_class))[1], length('create ') + 1)
        from pg_depend as d
        inner join pg_rewrite as r on r.oid = d.objid and r.ev_class <> relation
        where d.classid = 'pg_rewrite'::regclass and d.refobjid = relation
    );
end $f$;
comment on function internal.redirecting_statements(regclass) is 'Statements that let the views that read a relation read the one that has its name by then.';

create or replace function internal.begin_move(series text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    parent regclass := format('core.%I', series)::regclass;
    columns text;
    statement text;
    statements text[];
begin
    perform pg_advisory_xact_lock({{ lock_key('build') }});
    if (select relkind from pg_class where oid = parent) <> 'p' then
        return;
    end if;
    perform internal.note_gone_parts(series);
    execute format('lock table %s in access exclusive mode', parent);
    statements := internal.redirecting_statements(parent);
    select string_agg(quote_ident(attname), ', ' order by attnum)
    into columns
    from pg_attribute
    where attrelid = parent and attnum > 0 and not attisdropped;

    -- the names of indexes come out as in a build, for they follow from the table's
    execute format('create table internal.%I (like %s including all)', series, parent);
    execute format(
        $$select public.create_hypertable(%L, public.by_range('time', %L::interval), create_default_indexes => false)$$,
        format('internal.%I', series), (select value from internal.settings where name = 'partition_width')
    );
    create schema if not exists moving;
    execute format('alter table %s set schema moving', parent);
    execute format(
        'create view core.%I as select %s from internal.%I union all select %s from moving.%I',
        series, columns, series, columns, series
    );
    execute format(
        'create trigger %I instead of insert or update or delete on core.%I for each row execute function internal.refuse_while_moving()',
        series || '_refuse_while_moving', series
    );
    foreach statement in array statements || array(
        select format('alter table %s owner to %I', r.name, pg_get_userbyid(c.relowner))
        from pg_class as c
        cross join lateral (values (format('internal.%I', series)), (format('core.%I', series))) as r (name)
        where c.oid = parent and c.relowner <> (select oid from pg_roles where rolname = current_user)
    ) || array(
        select format(
            'grant %s on %s to %s%s', a.privilege_type, r.name,
            case a.grantee when 0 then 'public' else a.grantee::regrole::text end,
            case when a.is_grantable then ' with grant option' else '' end
        )
        from pg_class as c
        cross join lateral aclexplode(c.relacl) as a
        cross join lateral (values (format('internal.%I', series)), (format('core.%I', series))) as r (name)
        where c.oid = parent and a.grantee <> c.relowner
    ) loop
        execute statement;
    end loop;
end $f$;
comment on function internal.begin_move(text) is 'Makes the hypertable that a partitioned time-series table is moved to, and lets its readers see both.';
revoke all on function internal.begin_move(text) from public;

create or replace function internal.move_next_partition(series text, out partition text, out rows bigint)
language plpgsql volatile set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $f$
declare
    parent regclass := to_regclass(format('moving.%I', series));
    default_partition regclass := (select partdefid from pg_partitioned_table where partrelid = parent);
    source regclass;
    columns text;
    there record;
    moved record;
begin
    select p.partition into source from internal.partition_ranges(parent) as p order by p.low limit 1;
    if source is null and default_partition is not null then
        execute format('select %L::regclass where exists (select from %s)', default_partition, default_partition) into source;
    end if;
    if source is null then
        return;
    end if;
    partition := source::text;
    select string_agg(quote_ident(attname), ', ' order by attnum)
    into columns
    from pg_attribute
    where attrelid = parent and attnum > 0 and not attisdropped and attgenerated = '';
    execute format('lock table %s in share row exclusive mode', source);
    -- every column of every row, in any order
    execute format(
        'select count(*) as rows, coalesce(sum(hashtextextended(to_jsonb(r)::text, 0)::numeric), 0) as digest from %s as r', source
    ) into there;
    execute format(
        'with moved as (insert into internal.%I (%s) select %s from %s returning *)
        select count(*) as rows, coalesce(sum(hashtextextended(to_jsonb(moved)::text, 0)::numeric), 0) as digest from moved',
        series, columns, columns, source
    ) into moved;
    if there is distinct from moved then
        raise exception '% is not the same as a hypertable: % rows became %; nothing was changed', source, there.rows, moved.rows;
    end if;
    rows := moved.rows;
    execute format(case when source = default_partition then 'delete from %s' else 'drop table %s' end, source);
end $f$;
comment on function internal.move_next_partition(text) is 'Moves the oldest partition that is left to the hypertable and compares every row; null where none is left.';
revoke all on function internal.move_next_partition(text) from public;

create or replace function internal.end_move(series text) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp
as $f$
declare
    view_name text := format('core.%I', series);
    statement text;
    statements text[];
    reader text;
    is_empty boolean;
begin
    if (select relkind from pg_class where oid = view_name::regclass) <> 'v' then
        return;
    end if;
    execute format('lock table moving.%I in access exclusive mode', series);
    execute format('select not exists (select from moving.%I)', series) into is_empty;
    if not is_empty then
        raise exception '% has partitions that have not been moved', view_name;
    end if;
    statements := internal.redirecting_statements(view_name::regclass);
    execute format('alter view %s rename to %I', view_name, series || '_moved');
    execute format('alter table internal.%I set schema core', series);
    foreach statement in array statements loop
        execute statement;
    end loop;
    execute format('drop view core.%I', series || '_moved');
    -- rules about partitions, which the build makes anew
    for reader in
        select d.view::text
        from pg_partitioned_table as p
        cross join unnest(internal.dependent_views(p.partdefid)) with ordinality as d (view, position)
        inner join pg_class as c on c.oid = d.view
        where p.partrelid = format('moving.%I', series)::regclass and c.relnamespace::regnamespace::text = 'verification'
        order by d.position desc
    loop
        execute format('drop view %s', reader);
    end loop;
    execute format('drop table moving.%I', series);
    -- its rows are in chunks now, which the next refresh sees
    delete from internal.time_series_parts as k where k.series = end_move.series;
end $f$;
comment on function internal.end_move(text) is 'Gives the hypertable the name of the time-series table, whose partitions are empty by now.';
revoke all on function internal.end_move(text) from public;
{% endmacro %}
