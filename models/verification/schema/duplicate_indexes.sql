-- one row per index that another one makes superfluous
with indexes as (
    select
        pg_index.*,
        format('%s.%s', pg_class.relnamespace::regnamespace, pg_class.relname) as name,
        pg_class.relam,
        (pg_index.indkey::int2[])[0:pg_index.indnkeyatts - 1] as key_columns,
        (pg_index.indclass::oid[])[0:pg_index.indnkeyatts - 1] as key_classes,
        (pg_index.indoption::int2[])[0:pg_index.indnkeyatts - 1] as key_options,
        pg_get_expr(pg_index.indexprs, pg_index.indrelid) as expressions,
        pg_get_expr(pg_index.indpred, pg_index.indrelid) as predicate
    from pg_index
    inner join pg_class on pg_class.oid = pg_index.indexrelid
    where pg_class.relnamespace::regnamespace::text in ('core', 'rollups', 'internal')
        and not pg_class.relispartition
)

select
    narrow.name as subject,
    format('Everything it serves is served by %s too.', min(wide.name)) as message,
    format('Drop it: `drop index concurrently %s`.', narrow.name) as fix
from indexes as narrow
inner join indexes as wide
    on wide.indrelid = narrow.indrelid
        and wide.indexrelid <> narrow.indexrelid
        and wide.relam = narrow.relam
        and wide.expressions is not distinct from narrow.expressions
        and wide.predicate is not distinct from narrow.predicate
inner join pg_am on pg_am.oid = narrow.relam
where not narrow.indisunique
    and not narrow.indisexclusion
    and wide.indisvalid
    -- of two that are the same the younger one
    and (wide.indisunique or wide.indnkeyatts > narrow.indnkeyatts or wide.indexrelid < narrow.indexrelid)
    and (
        (wide.key_columns, wide.key_classes, wide.key_options)
        = (narrow.key_columns, narrow.key_classes, narrow.key_options)
        -- a B-tree also serves the columns it begins with
        or (
            pg_am.amname = 'btree'
            and (narrow.expressions is null or wide.indnkeyatts = narrow.indnkeyatts)
            and wide.key_columns[1:narrow.indnkeyatts] = narrow.key_columns
            and wide.key_classes[1:narrow.indnkeyatts] = narrow.key_classes
            and wide.key_options[1:narrow.indnkeyatts] = narrow.key_options
        )
    )
group by narrow.name
