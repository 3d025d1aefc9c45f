{# Rows that say what was: only the columns in `changeable` may change. `instead`: what to do. #}
{% macro create_rewrite_trigger(relation, changeable, instead) %}
{%- set trigger = relation.identifier ~ '_refuse_rewrite' %}
create or replace trigger {{ trigger }} before update on {{ relation }}
    for each row execute function internal.refuse_rewrite('{{ changeable | join(",") }}', '{{ instead }}');
comment on trigger {{ trigger }} on {{ relation }} is 'Refuses to change what was: what was true of March stays true of March.';
{% endmacro %}
