-- one row per source that has fallen silent
with last as (
    select coalesce(source, 'no source') as source, max(last_request_at) as last_request_at
    from {{ ref('llm_source_daily') }}
    group by 1
)

select
    gaps.source as subject,
    format(
        'No request of it since %s UTC, where about %s or more are usual.',
        to_char(last.last_request_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
        gaps.usual_requests
    ) as message,
    'See that it runs, and that what it writes is loaded (`governance sources`); a source that was switched off leaves '
    || 'the rule by itself after {{ var("source_retired_after") }}.' as fix
from {{ ref('stg_source_gaps') }} as gaps
inner join last on last.source = gaps.source
where gaps.is_since_last and last.last_request_at < now() - interval '{{ var("source_stale_after") }}'
