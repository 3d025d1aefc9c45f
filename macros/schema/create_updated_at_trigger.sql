{% macro create_updated_at_trigger(relation) %}
{%- set trigger = relation.identifier ~ '_updated_at' %}
create or replace trigger {{ trigger }} before update on {{ relation }}
    for each row execute function core.update_updated_at();
comment on trigger {{ trigger }} on {{ relation }} is 'Keeps updated_at: the time of the last change that changed something.';
{% endmacro %}
