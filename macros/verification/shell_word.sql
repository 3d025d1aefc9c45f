{# A word of a command to copy: names come from usage, and a shell must take them as they are. #}
{% macro shell_word(text) -%}
concat('''', replace({{ text }}, '''', '''\'''''), '''')
{%- endmacro %}
