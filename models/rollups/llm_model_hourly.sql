-- one row per hour, provider, model and currency
{{ config(
    bucket='hour', source='llm_metrics',
    grain=['bucket', 'provider', 'model', 'currency'],
    stored_indexes=[['bucket']],
) }}
select
    {{ time_bucket('hour', 'time') }} as bucket,
    provider,
    model,
    currency,
    {{ measures_of_requests() }}
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }}
group by 1, 2, 3, 4
