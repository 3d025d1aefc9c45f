{# From a CTE `differences`, one row per group and bucket that differs: what the rules about rollups show. #}
{% macro rollup_violations(rollup, unit, origin) -%}
select
    format(
        'rollups.{{ rollup }} of %s UTC', to_char(differences.bucket at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
    ) as subject,
    format('%s groups of the {{ unit }} are not what {{ origin }} make them.', count(*)) as message,
    'Run `governance rebuild-rollups`, which stores them anew as far back as raw rows reach, and find out who wrote there.' as fix
from differences
where not {{ is_pending(rollup, 'differences.bucket', unit) }}
group by differences.bucket
{%- endmacro %}

{# Buckets of the rows that only one of the CTEs `stored` and `recomputed` has, once per row. #}
{% macro differing_buckets() -%}
select bucket from (select * from stored except all select * from recomputed) as too_much
union all
select bucket from (select * from recomputed except all select * from stored) as missing
{%- endmacro %}
