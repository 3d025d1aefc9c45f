{# What tokens and requests of `usage` cost by its row of stg_unit_prices: by the agreed `price` or by the `list`. #}
{% macro cost_by_units(usage, prices, kind) -%}
({% for column in token_classes() -%}
{{ usage }}.{{ column }} * coalesce({{ prices }}.{{ column }}_{{ kind }}, 0) + {% endfor -%}
{{ usage }}.success_count * coalesce({{ prices }}.requests_{{ kind }}, 0)) * 0.000001
{%- endmacro %}
