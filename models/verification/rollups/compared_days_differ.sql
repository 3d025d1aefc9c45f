-- one row per rollup and run of days that differed from what they are made of when they were compared last
with days as (
    select
        comparisons.rollup,
        comparisons.low,
        comparisons.high,
        comparisons.finding,
        comparisons.compared_at,
        comparisons.equal_at,
        rollups.parent,
        lag(comparisons.high) over (partition by comparisons.rollup order by comparisons.low) as high_before
    from internal.rollup_comparisons as comparisons
    inner join internal.rollup_state as rollups
        on rollups.name = comparisons.rollup and rollups.version = comparisons.version
    where comparisons.differs
        -- newer days have rules of their own, which need no memory
        and comparisons.low < {{ verified_from() }}
),

spans as (
    select
        days.*,
        count(*) filter (where days.high_before is distinct from days.low)
            over (partition by days.rollup order by days.low) as span
    from days
)

select
    format(
        'rollups.%s of %s',
        rollup,
        concat_ws(' to ', {{ local_day('min(low)') }}, case when count(*) > 1 then {{ local_day('max(low)') }} end)
    ) as subject,
    format(
        case count(*)
            when 1 then 'The day was not what %2$s make it when it was compared on %3$s%4$s.'
            else '%1$s days were not what %2$s make them when they were compared on %3$s%4$s.'
        end,
        count(*),
        case when min(parent) is null then 'raw rows' else 'its hours' end,
        to_char(max(compared_at) at time zone 'UTC', 'YYYY-MM-DD'),
        case
            when bool_and(finding = 'rollup') then '; the stored rows changed since they were equal'
            when bool_and(finding = 'source') then '; what they are made of changed since they were equal'
        end
    ) as message,
    {{ recompute_fix('spans.rollup', 'min(low)', 'max(high)') }} as fix
from spans
group by rollup, span
