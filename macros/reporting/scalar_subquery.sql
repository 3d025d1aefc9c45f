{# An expression that is computed once per statement, not for each row; not for a filter that an index should serve. #}
{% macro scalar_subquery(expression) -%}
(select {{ expression }})
{%- endmacro %}
