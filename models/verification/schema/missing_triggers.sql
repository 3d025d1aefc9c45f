-- one row per trigger of a core table, or of a partition of one, that isn't there
{{ depend_on(core_tables()) -}}
with relations as (
    select
        pg_class.oid,
        format('%s.%s', pg_class.relnamespace::regnamespace, pg_class.relname) as name,
        format('%s.%s', tables.relnamespace::regnamespace, tables.relname) as table_name
    from pg_class
    left join pg_inherits on pg_inherits.inhrelid = pg_class.oid and pg_class.relispartition
    -- a partition has the triggers of its table, for most don't fire for a statement on the partition itself
    inner join pg_class as tables on tables.oid = coalesce(pg_inherits.inhparent, pg_class.oid)
    where pg_class.relnamespace::regnamespace::text = 'core'
)

select
    format('%s on %s', expected.trigger, coalesce(relations.name, expected.relation)) as subject,
    'The trigger does not exist, so what it refuses or writes down passes unseen.' as message,
    case
        when relations.name <> relations.table_name
            then format('Run `select internal.guard_partition(''%s'')`, then `governance verify`.', relations.name)
        else format(
                'Delete the row %s of internal.schema_objects, run `governance build`, see what was written meanwhile.',
                expected.relation
            )
    end as fix
from (values {{ expected_triggers() }}) as expected (relation, trigger, fires)
left join relations on relations.table_name = expected.relation
where not exists (
        select from pg_trigger
        where pg_trigger.tgrelid = relations.oid
            and pg_trigger.tgname = expected.trigger
    )
