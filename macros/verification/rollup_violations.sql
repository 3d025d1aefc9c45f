{#
    From a CTE `differences`, one row per group and bucket that differs: what the rules about rollups show. Buckets less
    than a day apart are one line. `beside` is a rollup that may be waiting to be recomputed as well.
#}
{% macro rollup_violations(rollup, unit, origin, beside=none) -%}
select
    format(
        'rollups.{{ rollup }} of %s UTC',
        concat_ws(' to ', {{ _utc('min(bucket)') }}, case when count(*) > 1 then {{ _utc('max(bucket)') }} end)
    ) as subject,
    case
        when sum(group_count) = 1 then '1 group of the {{ unit }} is not what {{ origin }} make it.'
        when count(*) = 1 then format('%s groups of the {{ unit }} are not what {{ origin }} make them.', sum(group_count))
        else format('%s groups of %s {{ unit }}s are not what {{ origin }} make them.', sum(group_count), count(*))
    end as message,
    {{ recompute_fix("'" ~ rollup ~ "'", 'min(bucket)', "max(bucket) + interval '1 " ~ unit ~ "'") }} as fix
from (
    select bucket, group_count, sum(starts) over (order by bucket) as span
    from (
        select
            bucket,
            count(*) as group_count,
            (bucket - lag(bucket) over (order by bucket) > interval '25 hours')::integer as starts
        from differences
        where not {{ is_pending(rollup, 'differences.bucket', unit) }}
        {%- if beside %} and not {{ is_pending(beside, 'differences.bucket', unit) }}{% endif %}
        group by bucket
    ) as buckets
) as spans
group by span
{%- endmacro %}

{# What to do about a rollup that differs over a span. #}
{% macro recompute_fix(rollup, low, high) -%}
format(
    'Find out who wrote there; if the raw rows are right, run `call internal.recompute_rollups(''%s'', ''%s+00'', ''%s+00'')`, else restore them.',
    (select states.source from internal.rollup_state as states where states.name = {{ rollup }}),
    {{ _utc(low) }},
    {{ _utc(high) }}
)
{%- endmacro %}

{% macro _utc(time) -%}
to_char(({{ time }}) at time zone 'UTC', 'YYYY-MM-DD HH24:MI')
{%- endmacro %}

{# One number for the columns of a row: equal values have equal numbers, whatever their trailing zeros. #}
{% macro row_hash(columns) -%}
hash_record_extended(row({{ columns }}), 0) as row_hash
{%- endmacro %}

{# Buckets of the rows that only one of the CTEs `stored` and `recomputed` has, by their hashes, once per row. #}
{% macro differing_buckets() -%}
select bucket
from (
    select bucket, row_hash, 1 as side from stored
    union all
    select bucket, row_hash, -1 as side from recomputed
) as compared
group by bucket, row_hash
having sum(side) <> 0
{%- endmacro %}
