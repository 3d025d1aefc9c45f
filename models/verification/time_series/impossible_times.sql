-- one row per time-series table with rows that are dated before 2000 or more than a year ahead
{% set is_impossible = "time < '2000-01-01' or time > now() + interval '1 year'" -%}
{% for series in ['llm_metrics', 'system_metrics'] -%}
select
    'core.{{ series }}' as subject,
    format(
        '%s dated before 2000 or more than a year ahead, %s to %s.',
        {{ counted('count(*)', 'row is', 'rows are') }},
        to_char(min(time) at time zone 'UTC', 'FMYYYY-MM-DD AD'),
        to_char(max(time) at time zone 'UTC', 'FMYYYY-MM-DD AD')
    ) as message,
    format(
        'See whose they are: `select * from core.{{ series }} where %s`; load them again with their right time, then '
        '`delete from core.{{ series }} where %s`.',
        '{{ is_impossible | replace("'", "''") }}',
        '{{ is_impossible | replace("'", "''") }}'
    ) as fix
from {{ ref(series) }}
where {{ is_impossible }}
having count(*) > 0
{{ 'union all' if not loop.last }}
{% endfor %}
