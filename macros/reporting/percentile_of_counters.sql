{# The 50th, 90th, 95th and 99th percentile from cumulative counters, as columns <prefix>_p50_ms … #}
{% macro percentiles_of_counters(relation, prefix, bounds) -%}
{%- for share in [0.5, 0.9, 0.95, 0.99] -%}
{{ percentile_of_counters(share, relation, prefix, bounds) }} as {{ prefix }}_p{{ (share * 100) | round | int }}_ms{{ ',
    ' if not loop.last }}
{%- endfor -%}
{%- endmacro %}

{#
    A percentile from cumulative counters, in whole milliseconds: within a bound the values are taken to lie evenly. Beyond the
    last bound nothing is known but that it is more: the last bound, as the least it can be.
#}
{% macro percentile_of_counters(share, relation, prefix, bounds) -%}
{%- set wanted = share ~ ' * ' ~ relation ~ '.' ~ prefix ~ '_count' -%}
case
        when {{ relation }}.{{ prefix }}_count = 0 then null
        {%- for bound in bounds %}
        {%- set counter = relation ~ '.' ~ prefix ~ '_le_' ~ bound ~ 'ms' %}
        {%- set low = 0 if loop.first else bounds[loop.index0 - 1] %}
        {%- set below = '0' if loop.first else relation ~ '.' ~ prefix ~ '_le_' ~ low ~ 'ms' %}
        when {{ counter }} >= {{ wanted }}
            then round({{ low }} + {{ bound - low }} * ({{ wanted }} - {{ below }}) / ({{ counter }} - {{ below }}))
        {%- endfor %}
        else {{ bounds[-1] }}
    end::integer
{%- endmacro %}

{# The counters of llm_latency_hourly, added up. #}
{% macro sums_of_counters() -%}
{%- for prefix, bounds in {'latency': latency_bounds(), 'time_to_first_token': first_token_bounds()}.items() -%}
sum({{ prefix }}_count) as {{ prefix }}_count,
        {% for bound in bounds -%}
        sum({{ prefix }}_le_{{ bound }}ms) as {{ prefix }}_le_{{ bound }}ms{{ ',
        ' if not loop.last }}
        {%- endfor -%}
{{ ',
        ' if not loop.last }}
{%- endfor -%}
{%- endmacro %}
