-- one row per trigger of a core table that isn't there
{{ depend_on(core_tables()) -}}
select
    format('%s on %s', expected.trigger, expected.relation) as subject,
    'The trigger does not exist, so what it refuses or writes down passes unseen.' as message,
    format(
        'Delete the row %s of internal.schema_objects, run `governance build`, and look at what was written meanwhile.',
        expected.relation
    ) as fix
from (values {{ expected_triggers() }}) as expected (relation, trigger, fires)
where not exists (
        select from pg_trigger
        inner join pg_class on pg_class.oid = pg_trigger.tgrelid
        where format('%s.%s', pg_class.relnamespace::regnamespace, pg_class.relname) = expected.relation
            and pg_trigger.tgname = expected.trigger
    )
