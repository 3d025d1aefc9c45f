-- one row per rollup that is stored by hours and days of another zone than the reporting zone
select
    format('rollups.%s', states.name) as subject,
    format(
        'It is stored by hours and days of %s, and reporting_timezone is %s.', states.timezone, settings.value
    ) as message,
    format(
        'Run `governance rebuild-rollups --vars ''{reporting_timezone: %s}''`, '
        'which stores all rollups anew in the zone you give.',
        settings.value
    ) as fix
from internal.rollup_state as states
inner join internal.settings as settings on settings.name = 'reporting_timezone'
where states.timezone <> settings.value
