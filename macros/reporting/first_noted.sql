{# The earliest time in a column of a table of schema internal. A macro of its own, so that a unit test can set it. #}
{% macro first_noted(table, column, condition='true') -%}
(select min({{ column }}) from internal.{{ table }} where {{ condition }})
{%- endmacro %}
