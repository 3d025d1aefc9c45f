{# Every function and procedure that bootstrap creates, as rows of VALUES: its name. #}
{% macro expected_functions() %}
    {%- if not execute %}{{ return('') }}{% endif -%}
    {%- set rows = [] -%}
    {%- for object in bootstrap_objects() if object.kind in ['function', 'procedure'] -%}
        {%- do rows.append("('" ~ object.name ~ "')") -%}
    {%- endfor -%}
    {{ return(rows | sort | join(', ')) }}
{% endmacro %}
