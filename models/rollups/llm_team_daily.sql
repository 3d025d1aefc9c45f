-- one row per day, team, provider, model and currency
{{ config(
    bucket='day', source='llm_metrics', parent='llm_team_hourly', time_column='bucket',
    grain=['bucket', 'day', 'team_id', 'provider', 'model', 'currency'],
    stored_indexes=[['bucket'], ['day'], ['team_id', 'day']],
) }}
select
    {{ time_bucket('day', 'bucket') }} as bucket,
    {{ local_day(time_bucket('day', 'bucket')) }} as day,
    team_id,
    provider,
    model,
    currency,
    {{ measures_of_rollup() }}
from {{ ref('llm_team_hourly') }}
where {{ in_rollup_window('bucket') }}
group by {{ time_bucket('day', 'bucket') }}, 3, 4, 5, 6
