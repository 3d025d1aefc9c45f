{#
    A rollup's definition can change: its state says which version is stored, and its name is a view on every engine. A
    continuous aggregate that had the name gives it to a view, and views that read it read that one.
#}
{% macro change_0003_versions_of_rollups() %}
alter table if exists internal.rollup_state
    add column version integer not null default 1,
    add column starts_at timestamptz not null default '-infinity',
    add column grain text[] not null default '{}',
    add column query text;
do $do$
declare
    rollup record;
    reader record;
begin
    if to_regclass('internal.rollup_state') is null then
        return;
    end if;
    comment on table internal.rollup_state is 'One row per rollup: its zone, its definition, the instant its present version begins at, and the watermark up to which its buckets are stored.';
    update internal.rollup_state as r
    set grain = array(
        select a.attname
        from pg_attribute as a
        inner join pg_type as t on t.oid = a.atttypid
        where a.attrelid = to_regclass(format('rollups.%I', r.name)) and a.attnum > 0 and not a.attisdropped
            and t.typcategory <> 'N' and a.attname !~ '^last_'
        order by a.attnum
    );
    for rollup in
        select r.name, to_regclass(format('rollups.%I', r.name)) as relation
        from internal.rollup_state as r
        where r.kind = 'continuous_aggregate' and to_regclass(format('rollups.%I', r.name)) is not null
        order by r.parent is not null, r.name
    loop
        create temp table readers on commit drop as
        select distinct format('%I.%I', n.nspname, c.relname) as view, pg_get_viewdef(c.oid) as query
        from pg_depend as d
        inner join pg_rewrite as w on w.oid = d.objid
        inner join pg_class as c on c.oid = w.ev_class and c.relkind = 'v'
        inner join pg_namespace as n on n.oid = c.relnamespace and n.nspname not like '\_timescaledb%'
        where d.classid = 'pg_rewrite'::regclass and d.refobjid = rollup.relation and c.oid <> rollup.relation
            and not exists (
                select from timescaledb_information.continuous_aggregates as a
                where a.view_schema = n.nspname and a.view_name = c.relname
            );
        execute format('alter materialized view rollups.%I rename to %I', rollup.name, rollup.name || '_stored');
        execute (
            select format('create view rollups.%I as select %s from rollups.%I', rollup.name, string_agg(quote_ident(attname), ', ' order by attnum), rollup.name || '_stored')
            from pg_attribute
            where attrelid = rollup.relation and attnum > 0 and not attisdropped
        );
        for reader in select * from readers loop
            execute format('create or replace view %s as %s', reader.view, reader.query);
        end loop;
        execute format('comment on view %s is null', rollup.relation);
        for reader in
            select format('comment on column %s.%I is null', rollup.relation, attname) as statement
            from pg_attribute
            where attrelid = rollup.relation and attnum > 0
        loop
            execute reader.statement;
        end loop;
        for reader in
            select format(
                'grant %s on rollups.%I to %s%s', a.privilege_type, rollup.name,
                case a.grantee when 0 then 'public' else a.grantee::regrole::text end,
                case when a.is_grantable then ' with grant option' else '' end
            ) as statement
            from pg_class as c
            cross join lateral aclexplode(c.relacl) as a
            where c.oid = rollup.relation and a.grantee <> c.relowner
        loop
            execute reader.statement;
        end loop;
        drop table readers;
    end loop;
end $do$
{% endmacro %}
