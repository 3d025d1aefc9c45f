-- one row per source that delivered requests again under another time; what counts is when they came
with repeated as (
    select
        max(source) as source,
        min(request_id) as request_id,
        count(*) as copies
    from (
        -- applications that count from 1 have the same ids for different requests; a number takes less memory than text
        select source, request_id, {{ row_hash('request_id, provider, application') }}
        from {{ ref('llm_metrics') }}
        where ingested_at >= now() - interval '{{ var("repeated_requests_window") }}'
        -- all before they are grouped: TimescaleDB would group those of each chunk, and then the groups
        offset 0  -- noqa: AM09
    ) as recent
    group by row_hash
    having count(*) > 1
)

select
    coalesce(source, 'no source') as subject,
    format(
        '%s there more than once, such as %s.',
        {{ counted(
            'count(*)',
            'request that came in the last ' ~ var('repeated_requests_window') ~ ' is',
            'requests that came in the last ' ~ var('repeated_requests_window') ~ ' are'
        ) }},
        min(request_id)
    ) as message,
    'Have the source send the time of the request, not of the delivery, and delete the copies.' as fix
from repeated
group by source
