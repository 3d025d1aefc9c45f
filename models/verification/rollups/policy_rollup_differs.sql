-- one row per closed day in which llm_policy_daily is not what raw rows make it
{% set columns -%}
day, policy_id, policy_decision, team_id, evaluated_count, flagged_count, blocked_count
{%- endset -%}
with span as materialized (
    {{ verified_span('llm_policy_daily') }}
),

stored as (
    select bucket, {{ row_hash(columns) }}
    from {{ ref('llm_policy_daily') }}
    where {{ in_verified_span('bucket') }}
),

recomputed as (
    select bucket, {{ row_hash(columns) }}
    from (
        select
            {{ time_bucket('day', 'time') }} as bucket,
            {{ local_day('time') }} as day,
            policy_id,
            policy_decision,
            team_id,
            count(*) as evaluated_count,
            count(*) filter (where policy_decision = 'flag') as flagged_count,
            count(*) filter (where policy_decision = 'block') as blocked_count
        from {{ requests_of_span() }}
        where policy_id is not null
        group by 1, 2, 3, 4, 5
    ) as requests
),

differences as (
    {{ differing_buckets() }}
)

{{ rollup_violations('llm_policy_daily', 'day', 'raw rows') }}
