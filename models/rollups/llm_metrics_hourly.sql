-- one row per hour, team, user, key, provider, model, application, environment and currency
{{ config(
    bucket='hour', source='llm_metrics',
    grain=['bucket', 'team_id', 'user_id', 'api_key_id', 'provider', 'model', 'application', 'environment', 'currency'],
    stored_indexes=[['bucket', 'user_id']],
    compress_orderby='team_id, user_id, api_key_id, model, bucket',
) }}
select
    {{ time_bucket('hour', 'time') }} as bucket,
    team_id,
    user_id,
    api_key_id,
    provider,
    model,
    application,
    environment,
    currency,
    {{ measures_of_requests() }}
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }}
group by 1, 2, 3, 4, 5, 6, 7, 8, 9
