-- one row per partition or chunk that retention should have dropped
select
    parts.part as subject,
    format(
        'It ended on %s, and core.%s keeps %s.',
        to_char(parts.high at time zone 'UTC', 'YYYY-MM-DD'),
        parts.series,
        settings.value
    ) as message,
    'Run `governance retain` once, and by a schedule at least once a day.' as fix
from ({{ time_series_parts() }}) as parts
inner join internal.settings as settings on settings.name = parts.series || '_retention'
where parts.high < now() - settings.value::interval - interval '{{ var("retention_grace") }}'
