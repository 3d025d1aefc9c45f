-- one row per source that delivers much of its usage late
with arrived as (
    select
        source,
        count(*) as requests,
        count(*) filter (where time < ingested_at - interval '{{ var("late_after") }}') as late
    from {{ ref('llm_metrics') }}
    where ingested_at >= now() - interval '7 days'
    group by source
)

select
    coalesce(arrived.source, 'no source') as subject,
    format(
        '%s of %s requests of the last 7 days came more than {{ var("late_after") }} after they were made.',
        arrived.late,
        arrived.requests
    ) as message,
    'Find out what holds the source up; until they come, its requests are missing in every report.' as fix
from arrived
where arrived.late > arrived.requests * {{ var("late_share_allowed") }}
    -- of a source that is new, its history is no delay
    and exists (
        select from {{ ref('llm_metrics') }} as before
        where before.source is not distinct from arrived.source
            and before.time >= now() - interval '14 days'
            and before.time < now() - interval '7 days'
            and before.ingested_at < now() - interval '7 days'
    )
