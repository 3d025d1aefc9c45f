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
    {{ measures_of_requests() }},
    sum(cost_amount) filter (where status <> 'success') as failed_cost_amount
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }}
group by 1, 2, 3, 4
