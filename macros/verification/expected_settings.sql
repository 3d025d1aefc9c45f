{# What a build sets on the database itself, as rows of VALUES: setting and value. #}
{% macro expected_settings() %}
    {%- set rows = [] -%}
    {%- for name, value in database_settings().items() %}{% do rows.append("('" ~ name ~ "', '" ~ value ~ "')") %}{% endfor -%}
    {{ return(rows | join(', ')) }}
{% endmacro %}
