-- one row per rollup with touched buckets that no refresh has recomputed for long
select
    format('rollups.%s', rollups.name) as subject,
    format(
        'Rows of closed buckets since %s came or changed, and no refresh has run since %s.',
        to_char(min(pending.low) at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),
        to_char(rollups.refreshed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
    ) as message,
    'Run `governance refresh` once, and by a schedule at least once an hour; reports lack these rows until then.' as fix
from internal.rollup_state as rollups
inner join ({{ pending_spans() }}) as pending on pending.rollup = rollups.name
where rollups.refreshed_at < now() - interval '{{ var("rollup_lag_allowed") }}'
    and pending.low > now() - interval '{{ var("llm_metrics_retention") }}'
    and pending.low < rollups.watermark
group by rollups.name, rollups.refreshed_at
