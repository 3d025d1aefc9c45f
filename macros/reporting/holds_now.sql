{# True while the half-open period [from_time, least of the ends) contains now; an end of null is open. #}
{% macro holds_now(from_time, ends) -%}
({{ from_time }} <= {{ reporting_now() }} and coalesce(least({{ ends | join(', ') }}), 'infinity') > {{ reporting_now() }})
{%- endmacro %}
