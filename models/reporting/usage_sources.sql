-- one row per source of usage
{%- set present = local_period_start('hour') %}
{%- set since_loaded = "hourly.bucket >= history.first_loaded_at" %}
with history as (
    select
        coalesce(source, 'no source') as source,
        min(first_request_at) as first_request_at,
        max(last_request_at) as last_request_at,
        min(first_ingested_at) as first_loaded_at,
        max(last_ingested_at) as last_loaded_at
    from {{ ref('llm_source_daily') }}
    group by 1
),

recent as (
    select
        history.source,
        sum(hourly.request_count) filter (where hourly.bucket > {{ present }} - interval '24 hours') as requests_24h,
        sum(hourly.request_count) filter (where hourly.bucket > {{ present }} - interval '168 hours') as requests_7d,
        sum(hourly.request_count) as requests_30d,
        -- what was there before a source was first loaded could not be in time
        sum(hourly.late_request_count) filter (where {{ since_loaded }})
        / nullif(sum(hourly.request_count) filter (where {{ since_loaded }}), 0) as late_share,
        sum(hourly.unowned_request_count) / sum(hourly.request_count) as unowned_share,
        sum(hourly.unpriced_request_count) / sum(hourly.request_count) as unpriced_share,
        sum(hourly.estimated_request_count) / sum(hourly.request_count) as estimated_share
    from {{ ref('llm_source_hourly') }} as hourly
    inner join history on history.source = coalesce(hourly.source, 'no source')
    where hourly.bucket > {{ present }} - interval '720 hours' and hourly.bucket <= {{ present }}
    group by history.source
),

judged as (
    select distinct source from {{ ref('stg_usual_hours') }}
),

gaps as (
    select
        judged.source,
        coalesce(sum(gaps.hours) filter (where not gaps.is_since_last), 0) as gap_hours,
        coalesce(sum(gaps.usual_requests - gaps.requests) filter (where not gaps.is_since_last), 0) as missing_requests,
        max(gaps.begins_at) filter (where not gaps.is_since_last) as last_gap_from,
        max(gaps.ends_at) filter (where not gaps.is_since_last) as last_gap_until,
        coalesce(bool_or(gaps.is_since_last), false) as is_silent
    from judged
    left join {{ ref('stg_source_gaps') }} as gaps on gaps.source = judged.source
    group by judged.source
)

select
    coalesce(history.source, loads.source) as source,
    history.first_request_at,
    history.last_request_at,
    greatest(history.last_loaded_at, loads.last_loaded_at) as last_loaded_at,
    coalesce(recent.requests_24h, 0)::bigint as requests_24h,
    coalesce(recent.requests_7d, 0)::bigint as requests_7d,
    coalesce(recent.requests_30d, 0)::bigint as requests_30d,
    case
        when gaps.is_silent
            then history.last_request_at < {{ reporting_now() }} - interval '{{ var("source_stale_after") }}'
        else gaps.is_silent
    end as is_stale,
    gaps.gap_hours::bigint as gap_hours,
    gaps.missing_requests::bigint as missing_requests,
    gaps.last_gap_from,
    gaps.last_gap_until,
    trim_scale(recent.late_share) as late_share,
    trim_scale(recent.unowned_share) as unowned_share,
    trim_scale(recent.unpriced_share) as unpriced_share,
    trim_scale(recent.estimated_share) as estimated_share,
    trim_scale(loads.quarantined_records::numeric / nullif(loads.records, 0)) as quarantined_share
from history
full join {{ ref('stg_source_loads') }} as loads on loads.source = history.source
left join recent on recent.source = history.source
left join gaps on gaps.source = history.source
