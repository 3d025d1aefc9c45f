-- one row per trail whose entries wait too long for their seal
with sealed as (
    select
        epoch + case kind when 'recovery' then 1 else 0 end as epoch,
        case kind when 'recovery' then '0'::xid8 else high end as high
    from internal.audit_seals
    order by sequence desc
    limit 1
),

waiting as (
    -- as the index has them: the first one is the oldest, whatever its columns say
    select entries.recorded_at
    from {{ ref('audit_logs') }} as entries
    where (entries.epoch, entries.xid) >= (
            coalesce((select sealed.epoch from sealed), 0), coalesce((select sealed.high from sealed), '0'::xid8)
        )
    order by entries.epoch, entries.xid
    limit 1
)

select
    'core.audit_logs' as subject,
    format(
        'Entries since %s have no seal, so one that is deleted would not be missed.',
        to_char(recorded_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
    ) as message,
    'Let Dagster run with its sealing_sensor, or run `governance audit seal --watch 10` as a service.' as fix
from waiting
where recorded_at < now() - interval '{{ var("sealed_within") }}'
union all
select
    'internal.audit_seals',
    'The last seal covers transactions that this server has not come to, so nothing is sealed any more.',
    'The database was restored or moved to another server without its command: run `governance audit recover`.'
from sealed
where high > pg_snapshot_xmax(pg_current_snapshot())
