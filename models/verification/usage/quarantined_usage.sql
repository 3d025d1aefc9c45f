-- one row per file or other source of which too much was refused recently
with refused as (
    select
        source,
        count(*) as records,
        mode() within group (order by reasons[1]) as reason
    from internal.quarantine
    where quarantined_at >= now() - interval '7 days'
    group by source
),

loaded as (
    select
        loads.source,
        sum(load_batches.loaded + load_batches.duplicate + load_batches.changed) as records
    from internal.load_batches
    inner join internal.loads on loads.id = load_batches.load_id
    where load_batches.ingested_at >= now() - interval '7 days' and loads.undone_at is null
    group by loads.source
)

select
    refused.source as subject,
    format(
        '%s of %s records of the last 7 days were refused, mostly because: %s.',
        refused.records,
        refused.records + coalesce(loaded.records, 0),
        rtrim(refused.reason, '.')
    ) as message,
    format(
        'See `select line, reasons from internal.quarantine where source = %L`, correct the file and load it again; '
        'or take it back with `governance ingest --undo`.', refused.source
    ) as fix
from refused
left join loaded on loaded.source = refused.source
where refused.records > (refused.records + coalesce(loaded.records, 0)) * {{ var("quarantined_share_allowed") }}
