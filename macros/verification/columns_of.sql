{# The documented columns of a model, in one order: a table that was upgraded has them in another one than a new table. #}
{% macro columns_of(model, alias) %}
    {%- if not execute %}{{ return(alias ~ '.*') }}{% endif -%}
    {%- set columns = graph.nodes['model.' ~ project_name ~ '.' ~ model].columns | sort -%}
    {{ return(alias ~ '.' ~ columns | join(', ' ~ alias ~ '.')) }}
{% endmacro %}
