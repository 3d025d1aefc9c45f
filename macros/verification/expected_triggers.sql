{#
    Every trigger of the core tables, as rows of VALUES: table, trigger, and when it fires ('O' in ordinary sessions, 'A'
    always). Read from the DDL of each table, so a model that uses it depends on all of them.
#}
{% macro expected_triggers() %}
    {%- if not execute %}{{ return('') }}{% endif -%}
    {%- set rows = [] -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.materialized == 'managed_table' -%}
        {%- set relation = api.Relation.create(database=node.database, schema=node.schema, identifier=node.name) -%}
        {%- set ddl = context['create_' ~ node.name](relation) -%}
        {%- set always = modules.re.findall('enable always trigger ([a-z_]+)', ddl) -%}
        {%- for trigger in modules.re.findall('create or replace trigger ([a-z_]+) ', ddl) -%}
            {%- do rows.append(
                "('" ~ node.schema ~ '.' ~ node.name ~ "', '" ~ trigger ~ "', '" ~ ('A' if trigger in always else 'O') ~ "')"
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(rows | sort | join(', ')) }}
{% endmacro %}
