{# Each index says which question or constraint it serves; docs/schema.md is generated from these comments. #}
{% macro comment_on_indexes(relation, purposes) %}
{%- for name, purpose in purposes.items() %}
comment on index {{ relation.schema }}.{{ name }} is $comment${{ purpose }}$comment$;
{%- endfor %}
{% endmacro %}
