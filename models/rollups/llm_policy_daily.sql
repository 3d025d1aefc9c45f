-- one row per day, policy, decision and team
{{ config(
    bucket='day', source='llm_metrics',
    grain=['bucket', 'day', 'policy_id', 'policy_decision', 'team_id'],
    stored_indexes=[['bucket'], ['policy_id', 'day']],
) }}
select
    {{ time_bucket('day', 'time') }} as bucket,
    {{ local_day(time_bucket('day', 'time')) }} as day,
    policy_id,
    policy_decision,
    team_id,
    count(*) as evaluated_count,
    count(*) filter (where policy_decision = 'flag') as flagged_count,
    count(*) filter (where policy_decision = 'block') as blocked_count
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }} and policy_id is not null
group by 1, 3, 4, 5
