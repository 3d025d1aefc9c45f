-- one row per daily rollup and closed day that is not the sum of its hours, or of the finest daily rollup
{% set rollups = {
    'llm_metrics_daily': 'team_id, user_id, api_key_id, provider, model, application, environment, currency',
    'llm_team_daily': 'team_id, provider, model, currency',
    'llm_user_daily': 'user_id, currency',
    'llm_key_daily': 'api_key_id, currency',
    'llm_model_daily': 'provider, model, currency',
    'llm_spend_daily': 'team_id, currency',
    'llm_application_daily': 'application, currency',
    'llm_tag_daily': 'currency',
} -%}
{% set spend = ['request_count', 'cost_amount', 'unpriced_request_count'] -%}
{% set usage = spend + ['success_count'] + token_columns() + ['latency_ms_sum', 'last_request_at'] -%}
{% set of_people = ['llm_user_daily', 'llm_key_daily', 'llm_application_daily'] -%}
-- read once, for each read of it looks through the hours of today, which belong to no closed day
with days as materialized (
    select * from {{ ref('llm_metrics_daily') }}
    where bucket >= {{ verified_from() }}
        and bucket < (select max(s.watermark) from internal.rollup_state as s where s.bucket = 'day')
),

-- added up once, for it has many times as many rows as these
{% for name, dimensions in {
    'days_of_teams': rollups['llm_team_daily'], 'days_of_people': 'user_id, api_key_id, application, currency',
}.items() -%}
{{ name }} as materialized (
    select bucket, {{ dimensions }}, {{ measures_of_rollup() }} from days group by bucket, {{ dimensions }}
){{ ',' if not loop.last }}
{% endfor %}
{% for rollup, dimensions in rollups.items() %}
{# the finest is the sum of its hours; the others are compared with it, for it has half as many rows #}
{% set finer = 'llm_metrics_hourly' if rollup == 'llm_metrics_daily' else 'llm_metrics_daily' -%}
{% set measures = (spend if rollup in ['llm_spend_daily', 'llm_application_daily', 'llm_tag_daily'] else usage)
    | join(', ') -%}
(
    with span as materialized (
        {{ verified_span(rollup) }}
    ),

    stored as (
        select bucket, {{ row_hash(dimensions ~ ', ' ~ measures) }}
        {% if rollup == 'llm_tag_daily' -%}
        -- the finest knows no tags: all of them together
        from (
            select
                bucket, currency, sum(request_count)::bigint as request_count, sum(cost_amount) as cost_amount,
                sum(unpriced_request_count)::bigint as unpriced_request_count
            from {{ ref(rollup) }}
            group by bucket, currency
        ) as every_tag
        {%- else -%}
        from {{ 'days' if rollup == 'llm_metrics_daily' else ref(rollup) }}
        {%- endif %}
        where {{ in_verified_span('bucket') }}
    ),

    recomputed as (
        select bucket, {{ row_hash(dimensions ~ ', ' ~ measures) }}
        from (
            select
                {{ time_bucket('day', 'bucket') }} as bucket,
                {{ dimensions }},
                {{ measures_of_rollup() }}
            from {{ ref(finer) if finer == 'llm_metrics_hourly'
                else 'days_of_people' if rollup in of_people else 'days_of_teams' }}
            where {{ in_verified_span('bucket') }}
            group by 1, {{ dimensions }}
        ) as hours
    ),

    differences as (
        {{ differing_buckets() }}
    )

    {{ rollup_violations(
        rollup, 'day', 'its hours' if finer == 'llm_metrics_hourly' else 'the days of ' ~ finer, finer,
    ) }}
)
{{ 'union all' if not loop.last }}
{% endfor %}
