-- requests and tokens of a user's last 30 days are those of the cost report of the newest days, and of the rollup by
-- user of those before, which are compared in rotation (docs/rules/rollups.md)
{{ config(meta={'dagster': {'ref': {'name': 'user_activity_summary_view'}}}) }}
with days as (
    select user_id, requests, total_tokens
    from {{ ref('cost_summary_view') }}
    where bucket >= {{ verified_from() }} and bucket < {{ local_period_start('day', 1) }}
    union all
    select user_id, request_count, total_tokens
    from {{ ref('llm_user_daily') }}
    where bucket >= {{ local_period_start('day', -29) }} and bucket < {{ verified_from() }}
),

costs as (
    select
        user_id,
        sum(requests) as requests,
        sum(total_tokens) as total_tokens
    from days
    group by user_id
)

select
    activity.user_id,
    activity.requests_30d,
    costs.requests
from {{ ref('user_activity_summary_view') }} as activity
left join costs on costs.user_id = activity.user_id
where (activity.requests_30d, activity.tokens_30d)
    is distinct from (coalesce(costs.requests, 0), coalesce(costs.total_tokens, 0))
