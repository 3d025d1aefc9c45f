-- one row per function or procedure that isn't there
with expected as (
    select name, null as stored from (values {{ expected_functions() }}) as of_bootstrap (name)
    union all
    select 'internal.refresh_' || name, internal.stored_relation(name, version)
    from internal.rollup_state
    where kind = 'incremental'
)

select
    expected.name as subject,
    'The function does not exist.' as message,
    case
        when expected.stored is null then 'Run `governance build`, which makes it anew.'
        else format(
                'Delete the row %s of internal.schema_objects and run `governance build`, which makes it anew.',
                expected.stored
            )
    end as fix
from expected
where not exists (
        select from pg_proc
        where format('%s.%s', pg_proc.pronamespace::regnamespace, pg_proc.proname) = expected.name
    )
