-- one row per day, user and currency
{{ config(
    bucket='day', source='llm_metrics', parent='llm_user_hourly', time_column='bucket',
    grain=['bucket', 'day', 'user_id', 'currency'],
    stored_indexes=[['bucket'], ['day'], ['user_id', 'day']],
    compress_orderby='user_id, bucket',
) }}
select
    {{ time_bucket('day', 'bucket') }} as bucket,
    {{ local_day(time_bucket('day', 'bucket')) }} as day,
    user_id,
    currency,
    {{ measures_of_rollup() }}
from {{ ref('llm_user_hourly') }}
where {{ in_rollup_window('bucket') }}
group by {{ time_bucket('day', 'bucket') }}, 3, 4
