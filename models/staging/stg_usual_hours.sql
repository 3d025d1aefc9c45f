-- one row per source and closed hour of the days that are judged, with what came and what is usual
{%- set zone = "'" ~ var('reporting_timezone') ~ "'" %}
{%- set hour = "interval '1 hour'" %}
{%- set present = local_period_start('hour') %}
{%- set judged_from = "(" ~ present ~ " - interval '" ~ var('gap_window') ~ "')" %}
with hours as (
    select
        coalesce(source, 'no source') as source,
        bucket,
        request_count as requests
    from {{ ref('llm_source_hourly') }}
    where bucket >= {{ judged_from }}
        - interval '{{ var("source_retired_after") }}' - {{ var('usual_weeks') }} * interval '7 days'
        and bucket <= {{ present }}
),

sources as (
    select source, min(bucket) as first_hour, max(bucket) as last_hour
    from hours
    group by source
    having max(bucket) >= {{ present }} - interval '{{ var("source_retired_after") }}'
),

judged as (
    select
        sources.source,
        sources.first_hour,
        sources.last_hour,
        closed.hour,
        -- the weeks since a source fell silent say nothing of what is usual
        greatest(1, ceil(extract(epoch from closed.hour - sources.last_hour) / 604800))::integer as weeks_back
    from sources
    cross join generate_series({{ judged_from }}, {{ present }} - {{ hour }}, {{ hour }}) as closed (hour)
),

before as (
    select
        judged.source,
        judged.last_hour,
        judged.hour,
        judged.first_hour,
        (judged.hour at time zone {{ zone }} - (judged.weeks_back + earlier.week) * interval '7 days')
        at time zone {{ zone }} as same_hour
    from judged
    cross join generate_series(0, {{ var('usual_weeks') }} - 1) as earlier (week)
),

usual as (
    select
        before.source,
        before.last_hour,
        before.hour,
        percentile_cont(0.5) within group (order by coalesce(hours.requests, 0)) as usual_requests
    from before
    left join hours on hours.source = before.source and hours.bucket = before.same_hour
    where before.same_hour >= before.first_hour
    group by before.source, before.last_hour, before.hour
    -- one week is no custom
    having count(*) >= 2
)

select
    usual.source,
    usual.hour,
    usual.hour > usual.last_hour as is_since_last,
    coalesce(hours.requests, 0) as requests,
    usual.usual_requests
from usual
left join hours on hours.source = usual.source and hours.bucket = usual.hour
