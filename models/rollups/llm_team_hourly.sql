-- one row per hour, team, provider, model and currency
{{ config(
    bucket='hour', source='llm_metrics',
    grain=['bucket', 'team_id', 'provider', 'model', 'currency'],
    stored_indexes=[['bucket']],
) }}
select
    {{ time_bucket('hour', 'time') }} as bucket,
    team_id,
    provider,
    model,
    currency,
    {{ measures_of_requests() }}
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }}
group by 1, 2, 3, 4, 5
