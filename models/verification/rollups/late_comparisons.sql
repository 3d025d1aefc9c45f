-- one row per rollup with closed days, and for the audit trail with days, that nobody compared or checked for too long
{% set late = "now() - interval '" ~ var("comparison_round") ~ "'" -%}
with compared as (
    select
        rollups.name,
        rollups.source,
        count(comparisons.rollup) as day_count,
        count(*) filter (where comparisons.compared_at < {{ late }}) as late_count
    from internal.rollup_state as rollups
    left join internal.rollup_comparisons as comparisons
        on comparisons.rollup = rollups.name and comparisons.version = rollups.version
    group by rollups.name, rollups.source
),

checked as (
    select count(*) as day_count, count(*) filter (where checked_at < {{ late }}) as late_count
    from internal.audit_checks
)

select
    format('rollups.%s', name) as subject,
    case day_count
        when 0 then 'None of its closed days was compared with what it is made of.'
        else format('%s of its closed days were not compared for {{ var("comparison_round") }}.', late_count)
    end as message,
    'Let comparison_job of Dagster run each night, or run `governance verify` as the owner until this is gone.' as fix
from compared
where late_count > 0
    or (
        day_count = 0
        and exists (
            select from ({{ time_series_parts() }}) as parts
            where parts.series = compared.source
                and parts.high < {{ late }}
        )
    )
union all
select
    'core.audit_logs',
    case day_count
        when 0 then 'None of its days was checked.'
        else format('%s of its days were not checked for {{ var("comparison_round") }}.', late_count)
    end,
    'Let comparison_job of Dagster run each night, or run `governance verify` as the owner until this is gone.'
from checked
where late_count > 0
    or (
        day_count = 0
        and exists (
            select from {{ ref('audit_logs') }} as entries
            where entries.recorded_at > '-infinity' and entries.recorded_at < {{ late }}
        )
    )
