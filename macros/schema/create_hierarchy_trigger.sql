{# An AFTER trigger: it judges the tree a statement leaves, not one in the middle of it. #}
{% macro create_hierarchy_trigger(relation, parent_column) %}
{%- set trigger = relation.identifier ~ '_hierarchy' %}
create or replace trigger {{ trigger }} after insert or update of {{ parent_column }} on {{ relation }}
    for each row execute function internal.refuse_bad_hierarchy('{{ parent_column }}');
comment on trigger {{ trigger }} on {{ relation }} is 'Refuses cycles and more than 10 levels.';
{% endmacro %}
