-- one row per day, team, user, key, provider, model, application, environment and currency
{{ config(
    bucket='day', source='llm_metrics', parent='llm_metrics_hourly', time_column='bucket',
    grain=[
        'bucket', 'day', 'team_id', 'user_id', 'api_key_id', 'provider', 'model', 'application', 'environment', 'currency',
    ],
    stored_indexes=[['bucket'], ['day'], ['user_id', 'day'], ['team_id', 'day']],
    compress_orderby='team_id, user_id, api_key_id, model, bucket',
) }}
select
    {{ time_bucket('day', 'bucket') }} as bucket,
    {{ local_day(time_bucket('day', 'bucket')) }} as day,
    team_id,
    user_id,
    api_key_id,
    provider,
    model,
    application,
    environment,
    currency,
    {{ measures_of_rollup() }}
from {{ ref('llm_metrics_hourly') }}
where {{ in_rollup_window('bucket') }}
group by {{ time_bucket('day', 'bucket') }}, 3, 4, 5, 6, 7, 8, 9, 10
