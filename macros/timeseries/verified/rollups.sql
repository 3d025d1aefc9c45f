{# One row per span of time below a watermark that a rollup has still to recompute. #}
{% macro pending_spans() %}
{%- if has_continuous_aggregates() -%}
select
    rollups.name as rollup,
    {{ _from_microseconds('log.lowest_modified_value') }} as low,
    {{ _from_microseconds('log.greatest_modified_value') }} as high
from _timescaledb_catalog.continuous_agg as aggregates
inner join internal.rollup_state as rollups
    on format('%s.%s', aggregates.user_view_schema, aggregates.user_view_name) = {{ _stored_in('rollups') }}
inner join (
    select materialization_id as mat_hypertable_id, null as raw_hypertable_id, lowest_modified_value, greatest_modified_value
    from _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
    union all
    select null, hypertable_id, lowest_modified_value, greatest_modified_value
    from _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log
) as log
    on log.mat_hypertable_id = aggregates.mat_hypertable_id or log.raw_hypertable_id = aggregates.raw_hypertable_id
{%- else -%}
select rollup, slot as low, slot + interval '15 minutes' as high
from internal.rollup_invalidations
union all
select rollups.name, log.slot, log.slot + interval '15 minutes'
from internal.invalidations as log
inner join internal.rollup_state as rollups on rollups.source = log.source and rollups.parent is null
{%- endif -%}
{% endmacro %}

{# The relation that holds the present version of a rollup (internal.stored_relation, which a reader may not call). #}
{% macro _stored_in(rollups) -%}
'rollups.' || {{ rollups }}.name || '_stored' || case when {{ rollups }}.version > 1 then '_' || {{ rollups }}.version else '' end
{%- endmacro %}

{# TimescaleDB's own notion of time; its infinities are beyond what to_timestamp takes. #}
{% macro _from_microseconds(value) -%}
to_timestamp(least(greatest({{ value }}, -4000000000000000), 4000000000000000) / 1000000.0)
{%- endmacro %}

{# Start of the newest days, which each run of verification compares; older ones are compared in rotation. #}
{% macro verified_from() -%}
{{ time_bucket('day', "now() - interval '" ~ var('verified_rollup_window') ~ "'") }}
{%- endmacro %}

{# The span of whole buckets of a rollup that verification compares with what they are made of. #}
{% macro verified_span(rollup) -%}
select
    greatest(
        {{ verified_from() }},
        {{ time_bucket('day', "greatest(series.dropped_before, timestamptz '2000-01-01 00:00+00') + interval '1 day'") }},
        {{ time_bucket('day', "now() - settings.value::interval + interval '1 day'") }},
        -- what is older was made by an older definition, of the rollup or of what it reads
        {{ time_bucket('day', "greatest(states.starts_at, parents.starts_at, timestamptz '2000-01-01 00:00+00') + interval '1 day'") }}
    ) as low,
    states.watermark as high
from internal.rollup_state as states
left join internal.rollup_state as parents on parents.name = states.parent
inner join internal.time_series as series on series.name = states.source
inner join internal.settings as settings on settings.name = states.source || '_retention'
where states.name = '{{ rollup }}'
{%- endmacro %}

{# That a bucket, or the time of a raw row, lies in the CTE `span`. Only of its first part the planner can tell how few they are. #}
{% macro in_verified_span(column) -%}
{{ column }} >= {{ verified_from() }}
        and {{ column }} >= (select span.low from span)
        and {{ column }} < (select span.high from span)
{%- endmacro %}

{# Requests of the CTE `span`, all before they are grouped: TimescaleDB would group those of each chunk, and then the groups. #}
{% macro requests_of_span() -%}
(
            select {{ columns_of('llm_metrics', 'requests') }} from {{ ref('llm_metrics') }} as requests
            where {{ in_verified_span('requests.time') }}
            offset 0
        ) as covered
{%- endmacro %}

{# Whether a bucket of a rollup is waiting to be recomputed, or can't be, for its raw rows are gone. #}
{% macro is_pending(rollup, bucket, unit) -%}
(
    exists (
        select from ({{ pending_spans() }}) as pending
        where pending.rollup = '{{ rollup }}'
            and pending.low < {{ bucket }} + interval '1 {{ unit }}'
            and pending.high >= {{ bucket }}
    )
    or exists (
        select from ({{ gone_spans() }}) as gone
        inner join internal.rollup_state as states on states.source = gone.series
        where states.name = '{{ rollup }}'
            and gone.low < {{ bucket }} + interval '1 {{ unit }}'
            and gone.high > {{ bucket }}
    )
)
{%- endmacro %}
