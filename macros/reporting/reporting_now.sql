{# The moment a report speaks of. A macro of its own, so that a unit test can set it. #}
{% macro reporting_now() -%}
now()
{%- endmacro %}
