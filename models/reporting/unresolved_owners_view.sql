-- one row per day, source, name that nobody could be found for, and currency
select
    usage.day,
    usage.bucket,
    usage.source,
    names.kind,
    names.said ->> 0 as external_id,
    names.said ->> 1 as reason,
    usage.currency,
    sum(usage.request_count)::bigint as requests,
    sum(usage.cost_amount) as cost,
    sum(usage.unpriced_request_count)::bigint as unpriced_requests,
    max(usage.last_request_at) as last_request_at
from {{ ref('llm_unresolved_daily') }} as usage
cross join lateral jsonb_each(usage.unresolved) as names (kind, said)
group by usage.day, usage.bucket, usage.source, names.kind, names.said ->> 0, names.said ->> 1, usage.currency
