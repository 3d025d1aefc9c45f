-- one row per span whose raw rows are gone although their retention is not over
select
    format(
        'core.%s from %s to %s',
        gone.series,
        to_char(gone.low at time zone 'UTC', 'YYYY-MM-DD'),
        to_char(gone.high at time zone 'UTC', 'YYYY-MM-DD')
    ) as subject,
    format(
        'Its raw rows are gone, and core.%s keeps %s; '
        'the rollups keep what they hold of them, and count no later row of then.',
        gone.series,
        settings.value
    ) as message,
    format(
        'Put them back and run `select internal.raw_rows_are_back(''%s'', ''%s'', ''%s'')`, or write down in '
        'seeds/verification_exceptions.csv why they are gone; shorten %s_retention rather than drop parts by hand.',
        gone.series,
        to_char(gone.low at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SSOF'),
        to_char(gone.high at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SSOF'),
        gone.series
    ) as fix
from ({{ gone_spans() }}) as gone
inner join internal.settings as settings on settings.name = gone.series || '_retention'
