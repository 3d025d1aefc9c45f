-- one row per source and span of closed hours in which much less came than is usual
with compared as (
    select
        source,
        hour,
        is_since_last,
        requests,
        usual_requests,
        requests <= usual_requests * {{ var('gap_share') }} as is_short
    from {{ ref('stg_usual_hours') }}
),

runs as (
    -- hours in which nothing is usual and nothing came belong to either side
    select *, count(*) filter (where not is_short) over (partition by source, is_since_last order by hour) as run
    from compared
)

select
    source,
    is_since_last,
    min(hour) filter (where usual_requests > 0) as begins_at,
    max(hour) filter (where usual_requests > 0) + interval '1 hour' as ends_at,
    count(*) filter (where usual_requests > 0) as hours,
    sum(requests)::bigint as requests,
    round(sum(usual_requests))::bigint as usual_requests
from runs
where is_short
group by source, is_since_last, run
having sum(usual_requests) - sum(requests) >= {{ var('gap_requests') }}
