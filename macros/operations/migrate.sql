{# `governance migrate`: applies the schema changes that a build would apply first, or with plan only shows them. #}
{% macro migrate(plan=false) %}
    {%- set pending = pending_schema_changes() -%}
    {%- if not built_by() -%}
        {% do print('nothing to change: the database is not built yet, `governance build` does it') %}
    {%- elif pending is not none and not pending | length -%}
        {% do print('nothing to change: the schema is that of this release') %}
    {%- elif plan -%}
        {% for change in (schema_changes() if pending is none else pending) %}
            {% do print('would run ' ~ change.name ~ ':\n' ~ change.text ~ '\n') %}
        {% endfor %}
    {%- else -%}
        {% do apply_schema_changes() %}
    {%- endif -%}
{% endmacro %}
