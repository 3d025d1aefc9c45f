{# Every function and procedure that bootstrap creates, as rows of VALUES: its name. #}
{% macro expected_functions() %}
    {%- if not execute %}{{ return('') }}{% endif -%}
    {%- set rows = [] -%}
    {%- for name in modules.re.findall('create or replace (?:function|procedure) ([a-z_]+[.][a-z0-9_]+)[(]', bootstrap_text()) | unique | sort -%}
        {%- do rows.append("('" ~ name ~ "')") -%}
    {%- endfor -%}
    {{ return(rows | join(', ')) }}
{% endmacro %}
