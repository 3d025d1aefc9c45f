-- requests and tokens of a user's last 30 days are those of the cost report
{{ config(meta={'dagster': {'ref': {'name': 'user_activity_summary_view'}}}) }}
with costs as (
    select
        user_id,
        sum(requests) as requests,
        sum(total_tokens) as total_tokens
    from {{ ref('cost_summary_view') }}
    where bucket >= {{ local_period_start('day', -29) }} and bucket < {{ local_period_start('day', 1) }}
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
