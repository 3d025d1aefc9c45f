-- one row per time-series table with rows in its default partition
-- depends_on: {{ ref('llm_metrics') }}, {{ ref('system_metrics') }}
select
    format('core.%s_default', defaults.series) as subject,
    format(
        '%s rows of %s to %s lie outside all partitions.',
        defaults.row_count,
        to_char(defaults.low at time zone 'UTC', 'YYYY-MM-DD'),
        to_char(defaults.high at time zone 'UTC', 'YYYY-MM-DD')
    ) as message,
    format(
        'Run `call internal.partition_default_rows(''%s'')`, which makes partitions where rows are and moves them.',
        defaults.series
    ) as fix
from ({{ default_partition_rows() }}) as defaults
