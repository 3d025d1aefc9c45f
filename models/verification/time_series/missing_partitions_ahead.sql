-- one row per time-series table without partitions for half of the time they should be made ahead
with ahead as (
    select
        date_trunc('day', now(), 'UTC') as low,
        now() + interval '{{ var("partitions_ahead") }}' / 2 as high
),

uncovered as (
    select
        tables.series,
        min(days.day) as since
    from ({{ time_series_tables() }}) as tables
    cross join ahead
    cross join generate_series(ahead.low, ahead.high, interval '1 day') as days (day)
    where tables.storage = 'native partitions'
        and not exists (
            select from ({{ time_series_parts() }}) as parts
            where parts.series = tables.series and parts.low <= days.day and parts.high > days.day
        )
    group by tables.series
)

select
    format('core.%s', uncovered.series) as subject,
    format(
        'It has no partition for %s; rows of then go to the default partition.',
        to_char(uncovered.since at time zone 'UTC', 'YYYY-MM-DD')
    ) as message,
    'Run `governance refresh` once, and by a schedule at least once a week.' as fix
from uncovered
