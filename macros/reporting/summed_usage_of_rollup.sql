{# The measures of a usage rollup as the reports name them, added up: null cost only where no request of the group has a price. #}
{% macro summed_usage_of_rollup(relation) %}
    sum({{ relation }}.request_count)::bigint as requests,
    sum({{ relation }}.success_count)::bigint as successful_requests,
    sum({{ relation }}.request_count - {{ relation }}.success_count)::bigint as failed_requests,
    {% for column in token_columns() -%}
    sum({{ relation }}.{{ column }})::bigint as {{ column }},
    {% endfor -%}
    sum({{ relation }}.cost_amount) as cost,
    sum({{ relation }}.unpriced_request_count)::bigint as unpriced_requests
{%- endmacro %}
