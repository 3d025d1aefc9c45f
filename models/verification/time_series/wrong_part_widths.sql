-- one row per time-series table whose newest parts have another width than configured
select
    format('core.%s', tables.series) as subject,
    format('Its parts are %s wide, partition_width is {{ var("partition_width") }}.', tables.width) as message,
    'Run `governance build`, or set the var partition_width to what you want; parts that exist keep their width.' as fix
from ({{ time_series_tables() }}) as tables
where tables.width <> interval '{{ var("partition_width") }}'
