-- one row per index that can't be used
select
    format('%s.%s', indexes.relnamespace::regnamespace, indexes.relname) as subject,
    format('The index on %s was not built to its end and serves nothing.', tables.relname) as message,
    format('Run `reindex index concurrently %I.%I`.', indexes.relnamespace::regnamespace::text, indexes.relname) as fix
from pg_index
inner join pg_class as indexes on indexes.oid = pg_index.indexrelid
inner join pg_class as tables on tables.oid = pg_index.indrelid
where tables.relnamespace::regnamespace::text = any('{core,rollups,internal,seeds}')
    and not (pg_index.indisvalid and pg_index.indisready)
