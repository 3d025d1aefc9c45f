{# The text of the DDL without the database's name, and its checksum. #}
{% macro portable_ddl(relation, ddl) %}{{ return(ddl | replace('"' ~ relation.database ~ '".', '')) }}{% endmacro %}

{#
    SQL that brings an object to its DDL, or nothing where the same DDL was applied before: even
    `create index if not exists` takes its lock before it looks, and would wait behind an application's transaction.
#}
{% macro ensure_object(relation, ddl) %}
    {%- if execute -%}
        {%- set text = portable_ddl(relation, ddl) -%}
        {%- set name = relation.schema ~ '.' ~ relation.identifier -%}
        {%- if not is_applied(name, text) -%}
            {% do assert_may_change(name) %}
            set local lock_timeout = '5s';
            {{ text }}
            {{ mark_applied(name, text) }}
            set local lock_timeout = 0;
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{% macro is_applied(name, ddl) %}
    {% set query %}
        select true
        from internal.schema_objects
        where name = '{{ name }}' and checksum = '{{ local_md5(ddl) }}' and to_regclass('{{ name }}') is not null
    {% endset %}
    {{ return(run_query(query).rows | length > 0) }}
{% endmacro %}

{% macro mark_applied(name, ddl) -%}
    insert into internal.schema_objects (name, checksum)
    values ('{{ name }}', '{{ local_md5(ddl) }}')
    on conflict (name) do update set checksum = excluded.checksum, applied_at = now();
{%- endmacro %}
