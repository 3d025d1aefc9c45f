{# The measures of usage, from raw requests. #}
{% macro measures_of_requests() %}
    count(*) as request_count,
    count(*) filter (where status = 'success') as success_count,
    count(*) filter (where status = 'error') as error_count,
    count(*) filter (where status = 'blocked') as blocked_count,
    count(*) filter (where status = 'rate_limited') as rate_limited_count,
    {% for column in token_columns() -%}
    sum({{ column }})::bigint as {{ column }},
    {% endfor -%}
    sum(cost_amount) as cost_amount,
    count(*) - count(cost_amount) as unpriced_request_count,
    {% for column in ['latency_ms', 'time_to_first_token_ms'] -%}
    coalesce(sum({{ column }}), 0)::bigint as {{ column }}_sum,
    count({{ column }}) as {{ column }}_count,
    max({{ column }}) as {{ column }}_max,
    {% endfor -%}
    max(time) as last_request_at
{%- endmacro %}

{# The same measures, added up from a finer rollup: a day is the sum of its hours. #}
{% macro measures_of_rollup() %}
    {% for column in ['request_count', 'success_count', 'error_count', 'blocked_count', 'rate_limited_count'] + token_columns() -%}
    sum({{ column }})::bigint as {{ column }},
    {% endfor -%}
    sum(cost_amount) as cost_amount,
    sum(unpriced_request_count)::bigint as unpriced_request_count,
    {% for column in ['latency_ms', 'time_to_first_token_ms'] -%}
    sum({{ column }}_sum)::bigint as {{ column }}_sum,
    sum({{ column }}_count)::bigint as {{ column }}_count,
    max({{ column }}_max) as {{ column }}_max,
    {% endfor -%}
    max(last_request_at) as last_request_at
{%- endmacro %}

{# The disjoint billable classes of tokens, in the order of core.llm_metrics; their sum is total_tokens. #}
{% macro token_classes() %}
    {{ return([
        'input_tokens', 'cache_read_tokens', 'cache_write_tokens', 'output_tokens',
        'reasoning_tokens', 'audio_input_tokens', 'audio_output_tokens',
    ]) }}
{% endmacro %}

{% macro token_columns() %}{{ return(token_classes() + ['total_tokens']) }}{% endmacro %}

{# Cumulative counters: how many values of a column were at most each bound. Percentiles of any group come from them. #}
{% macro cumulative_counters(column, prefix, bounds) %}
    {%- for bound in bounds %}
    count(*) filter (where {{ column }} <= {{ bound }}) as {{ prefix }}_le_{{ bound }}ms{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{# The bounds of the counters in llm_latency_hourly, in milliseconds. #}
{% macro latency_bounds() %}{{ return([100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000]) }}{% endmacro %}

{% macro first_token_bounds() %}{{ return([50, 100, 250, 500, 1000, 2500, 5000, 10000]) }}{% endmacro %}
