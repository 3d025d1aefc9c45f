-- one row per function or procedure that isn't there
with expected as (
    select name from (values {{ expected_functions() }}) as of_bootstrap (name)
    union all
    select 'internal.refresh_' || name from internal.rollup_state where kind = 'incremental'
)

select
    expected.name as subject,
    'The function does not exist.' as message,
    'Delete the row internal.settings of internal.schema_objects and run `governance build`, which makes it anew.'
        as fix
from expected
where not exists (
        select from pg_proc
        where format('%s.%s', pg_proc.pronamespace::regnamespace, pg_proc.proname) = expected.name
    )
