-- one row per source of requests that came before they were made
select
    coalesce(source, 'no source') as subject,
    format(
        '%s dated up to %s after arrival.',
        {{ counted('count(*)', 'request of the last 7 days is', 'requests of the last 7 days are') }},
        justify_interval(date_trunc('second', max(time - ingested_at)))
    ) as message,
    'Set the clock of the source, or the unit and zone in which it writes times.' as fix
from {{ ref('llm_metrics') }}
where ingested_at >= now() - interval '7 days'
    and time > now() - interval '8 days'
    and time > ingested_at + interval '{{ var("clock_skew_allowed") }}'
group by source
