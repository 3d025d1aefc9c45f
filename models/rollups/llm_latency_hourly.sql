-- one row per hour, provider, model and environment
{{ config(
    bucket='hour', source='llm_metrics',
    grain=['bucket', 'provider', 'model', 'environment'],
    stored_indexes=[['bucket']],
) }}
select
    {{ time_bucket('hour', 'time') }} as bucket,
    provider,
    model,
    environment,
    count(*) as request_count,
    count(latency_ms) as latency_count,
    {{ cumulative_counters('latency_ms', 'latency', latency_bounds()) }},
    count(time_to_first_token_ms) as time_to_first_token_count,
    {{ cumulative_counters('time_to_first_token_ms', 'time_to_first_token', first_token_bounds()) }}
from {{ ref('llm_metrics') }}
where {{ in_rollup_window('time') }}
group by 1, 2, 3, 4
