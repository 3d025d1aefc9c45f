{# Rows that spend and decisions name are closed, not deleted. `instead`: how. #}
{% macro create_delete_triggers(relation, instead) %}
{%- set table = relation.identifier %}
create or replace trigger {{ table }}_refuse_delete before delete on {{ relation }}
    for each row execute function internal.refuse_delete('{{ instead }}');
comment on trigger {{ table }}_refuse_delete on {{ relation }} is 'Refuses DELETE: spend and decisions would lose what they belong to.';
create or replace trigger {{ table }}_refuse_truncate before truncate on {{ relation }}
    for each statement execute function internal.refuse_delete('{{ instead }}');
comment on trigger {{ table }}_refuse_truncate on {{ relation }} is 'Refuses to empty the table, which no row trigger would see.';
{% endmacro %}
