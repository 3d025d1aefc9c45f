-- one row per index that nothing has used in all the time the statistics cover, if they cover enough
with counted_since as (
    select
        objects.name as relation,
        -- an index counts from the last change of its table, a reset forgets what was before it
        greatest(objects.applied_at, databases.stats_reset) as since
    from internal.schema_objects as objects
    cross join pg_stat_database as databases
    where databases.datname = current_database()
)

select
    format('%s.%s', used.schemaname, used.indexrelname) as subject,
    format(
        'No query has used it since %s; it takes %s.',
        to_char(counted_since.since, 'YYYY-MM-DD'),
        pg_size_pretty(pg_relation_size(used.indexrelid))
    ) as message,
    'Ask on replicas too; where nobody needs the question it serves (see docs/schema.md), drop it in a change.' as fix
from pg_stat_user_indexes as used
inner join pg_index on pg_index.indexrelid = used.indexrelid
inner join counted_since on counted_since.relation = format('%s.%s', used.schemaname, used.relname)
where used.idx_scan = 0
    and counted_since.since < now() - interval '{{ var("unused_index_after") }}'
    -- what holds a constraint is used by writing
    and not pg_index.indisunique
    and not pg_index.indisexclusion
