-- one row per day, provider, model and currency
{{ config(
    bucket='day', source='llm_metrics', parent='llm_model_hourly', time_column='bucket',
    grain=['bucket', 'day', 'provider', 'model', 'currency'],
    stored_indexes=[['bucket'], ['day']],
) }}
select
    {{ time_bucket('day', 'bucket') }} as bucket,
    {{ local_day(time_bucket('day', 'bucket')) }} as day,
    provider,
    model,
    currency,
    {{ measures_of_rollup() }},
    sum(failed_cost_amount) as failed_cost_amount
from {{ ref('llm_model_hourly') }}
where {{ in_rollup_window('bucket') }}
group by {{ time_bucket('day', 'bucket') }}, 3, 4, 5
