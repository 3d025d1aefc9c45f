-- one row per database that refused too much of what came in recently
with refused as (
    select
        count(*) as records,
        count(distinct source) as files,
        mode() within group (order by reasons[1]) as reason
    from internal.quarantine
    where quarantined_at >= now() - interval '7 days'
),

loaded as (
    select count(*) as records
    from {{ ref('llm_metrics') }}
    where ingested_at >= now() - interval '7 days'
)

select
    'ingestion' as subject,
    format(
        '%s of %s records of the last 7 days were refused, of %s files, mostly because: %s.',
        refused.records,
        refused.records + loaded.records,
        refused.files,
        rtrim(refused.reason, '.')
    ) as message,
    'See `select source, line, reasons from internal.quarantine`, mend the files and load them again.' as fix
from refused
cross join loaded
where refused.records > (refused.records + loaded.records) * {{ var("quarantined_share_allowed") }}
