-- one row per time-series table that is not stored in parts
select
    format('core.%s', tables.series) as subject,
    format('It is stored as %s, not as %s.', tables.storage, tables.wanted) as message,
    'Restore it from a backup into a database built by this project; rows do not become parts by themselves.' as fix
from ({{ time_series_tables() }}) as tables
where tables.storage <> tables.wanted
