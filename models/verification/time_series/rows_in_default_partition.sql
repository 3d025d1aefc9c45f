-- one row per time-series table with rows in its default partition
-- depends_on: {{ ref('llm_metrics') }}, {{ ref('system_metrics') }}
select
    format('core.%s_default', defaults.series) as subject,
    format(
        '%s of %s to %s %s outside all partitions.',
        {{ counted('defaults.row_count', 'row', 'rows') }},
        to_char(defaults.low at time zone 'UTC', 'YYYY-MM-DD'),
        to_char(defaults.high at time zone 'UTC', 'YYYY-MM-DD'),
        case defaults.row_count when 1 then 'lies' else 'lie' end
    ) as message,
    format(
        'Run `call internal.partition_default_rows(''%s'')`, which makes partitions where rows are and moves them.',
        defaults.series
    ) as fix
from ({{ default_partition_rows() }}) as defaults
