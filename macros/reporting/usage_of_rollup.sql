{# The measures of a usage rollup as the reports name them. #}
{% macro usage_of_rollup(relation) %}
    {{ relation }}.request_count as requests,
    {{ relation }}.success_count as successful_requests,
    {{ relation }}.request_count - {{ relation }}.success_count as failed_requests,
    {% for column in token_columns() -%}
    {{ relation }}.{{ column }},
    {% endfor -%}
    {{ relation }}.cost_amount as cost,
    {{ relation }}.unpriced_request_count as unpriced_requests
{%- endmacro %}
