{# A number with its noun, and its verb where one follows: 1 row is, 2 rows are. #}
{% macro counted(number, one, many) -%}
concat({{ number }}, case {{ number }} when 1 then ' {{ one }}' else ' {{ many }}' end)
{%- endmacro %}
