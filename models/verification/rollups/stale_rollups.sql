-- one row per rollup that lags behind
with closed as (
    select
        name as rollup,
        source as series,
        bucket as unit,
        watermark,
        date_trunc(bucket, now() - interval '{{ var("rollup_lag_allowed") }}', '{{ var("reporting_timezone") }}')
            as before
    from internal.rollup_state
)

select
    format('rollups.%s', closed.rollup) as subject,
    case
        when closed.watermark > '1970-01-01'
            then format(
                    'It is stored up to %s UTC, and there is usage of closed %ss since.',
                    to_char(closed.watermark at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
                    closed.unit
                )
        else format('Nothing of it is stored, and there is usage of closed %ss.', closed.unit)
    end as message,
    'Run `governance refresh` once, and by a schedule at least once an hour; reports are right meanwhile, but slower.'
        as fix
from closed
where case closed.series
        when 'llm_metrics'
            then exists (
                    select from {{ ref('llm_metrics') }} as raw
                    where raw.time >= coalesce(closed.watermark, '-infinity') and raw.time < closed.before
                )
        else exists (
                select from {{ ref('system_metrics') }} as raw
                where raw.time >= coalesce(closed.watermark, '-infinity') and raw.time < closed.before
            )
    end
