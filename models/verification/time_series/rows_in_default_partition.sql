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
        'Run `select internal.ensure_partitions(''core.%s'', ''%s'', ''%s'')`, which moves them.',
        defaults.series,
        to_char(defaults.low at time zone 'UTC', 'YYYY-MM-DD'),
        to_char(defaults.high at time zone 'UTC', 'YYYY-MM-DD')
    ) as fix
from ({{ default_partition_rows() }}) as defaults
