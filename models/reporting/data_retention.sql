-- one row per kind of data that is kept
with kept (data, personal_data, kept_for, oldest, dropped_before) as (
    select
        'raw requests',
        'ids of account, team and key',
        '{{ var("llm_metrics_retention") }}',
        (select min(time) from {{ ref('llm_metrics') }}),
        {{ first_noted('time_series', 'dropped_before', "name = 'llm_metrics'") }}
    union all
    select
        'raw system metrics',
        'none',
        '{{ var("system_metrics_retention") }}',
        (select min(time) from {{ ref('system_metrics') }}),
        {{ first_noted('time_series', 'dropped_before', "name = 'system_metrics'") }}
    union all
    select
        'sums of requests by day',
        'ids of account, team and key',
        null,
        (select min(bucket) from {{ ref('llm_spend_daily') }}),
        null
    union all
    select
        'runs of verification',
        'none',
        '{{ var("verification_retention") }}',
        {{ first_noted('verification_runs', 'ended_at') }},
        null
    union all
    select
        'audit trail',
        'addresses of accounts, network addresses',
        null,
        (select min(recorded_at) from {{ ref('audit_logs') }}),
        null
    union all
    select 'refused records', 'what the records had', null, {{ first_noted('quarantine', 'quarantined_at') }}, null
    union all
    select
        'ended sessions',
        'network addresses',
        null,
        (select min(expires_at) from {{ ref('sessions') }} where least(expires_at, revoked_at) < {{ reporting_now() }}),
        null
    union all
    select
        'deactivated accounts',
        'names and addresses',
        null,
        (select min(coalesce(deleted_at, updated_at)) from {{ ref('users') }} where status = 'deactivated'),
        null
)

select
    data,
    personal_data,
    kept_for,
    oldest,
    nullif(dropped_before, '-infinity') as dropped_before,
    -- whole parts are dropped: the oldest has a part's width more
    case
        when kept_for is null or oldest is null then null
        when
            oldest < {{ reporting_now() }} - kept_for::interval
            - interval '{{ var("partition_width") }}' - interval '2 days'
            then 'past its retention'
        else 'within'
    end as state
from kept
