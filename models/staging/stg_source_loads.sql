-- one row per source with what its loads of the last days read
with loads as (
    select
        id,
        case
            when constants ? 'source' then constants ->> 'source'
            -- of a file with a column for it nobody knows which of its sources a refused record was of
            when not mapping ? 'source' then 'ingest'
        end as source
    from internal.loads
    where undone_at is null
)

select
    loads.source,
    sum(batches.loaded + batches.duplicate + batches.quarantined)::bigint as records,
    sum(batches.quarantined)::bigint as quarantined_records,
    max(batches.ingested_at) as last_loaded_at
from internal.load_batches as batches
inner join loads on loads.id = batches.load_id
where batches.ingested_at >= {{ reporting_now() }} - interval '{{ var("usage_window") }}' and loads.source is not null
group by loads.source
