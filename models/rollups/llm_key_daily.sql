-- one row per day, API key and currency
{{ config(
    bucket='day', source='llm_metrics', parent='llm_key_hourly', time_column='bucket',
    grain=['bucket', 'day', 'api_key_id', 'currency'],
    stored_indexes=[['bucket'], ['day'], ['api_key_id', 'day']],
) }}
select
    {{ time_bucket('day', 'bucket') }} as bucket,
    {{ local_day(time_bucket('day', 'bucket')) }} as day,
    api_key_id,
    currency,
    {{ measures_of_rollup() }}
from {{ ref('llm_key_hourly') }}
where {{ in_rollup_window('bucket') }}
group by {{ time_bucket('day', 'bucket') }}, 3, 4
