-- one row per database whose server has a clock that is behind what it recorded earlier
select
    'internal.rollup_state' as subject,
    format(
        'The rollups were refreshed at %s by a clock that now says %s.',
        to_char(max(refreshed_at) at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
        to_char(now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
    ) as message,
    'Set the clock of the database server right. What retention dropped meanwhile may have been dropped too early, '
    'and is in the backup only.' as fix
from internal.rollup_state
having max(refreshed_at) > now() + interval '{{ var("clock_skew_allowed") }}'
