-- one row per table that inherits from one of ours without being a part of it
{{ depend_on(core_tables()) -}}
select
    format('%I.%I below %I.%I', child_schema.nspname, child.relname, schema.nspname, parent.relname) as subject,
    format(
        'Its rows show in %I.%I, whose triggers and constraints they never met.', schema.nspname, parent.relname
    ) as message,
    format(
        'Run `alter table %I.%I no inherit %I.%I`, then find out who made it and what was read from it meanwhile.',
        child_schema.nspname, child.relname, schema.nspname, parent.relname
    ) as fix
from pg_inherits
inner join pg_class as parent on parent.oid = pg_inherits.inhparent
inner join pg_namespace as schema on schema.oid = parent.relnamespace
inner join pg_class as child on child.oid = pg_inherits.inhrelid
inner join pg_namespace as child_schema on child_schema.oid = child.relnamespace
where schema.nspname in ('core', 'internal', 'rollups', 'seeds')
    and child.relkind in ('r', 'p', 'f')
    and not child.relispartition
    -- an extension may keep parts of a table in a schema of its own
    and not exists (
        select 1
        from pg_depend
        where pg_depend.classid = 'pg_namespace'::regclass
            and pg_depend.objid = child_schema.oid
            and pg_depend.deptype = 'e'
    )
