{#
    Every trigger of the core tables, as rows of VALUES: table, trigger, and when it fires ('O' in ordinary sessions, 'R' in
    those of a replication, 'A' always). Read from the DDL of each table, so a model that uses it depends on all of them.
#}
{% macro expected_triggers() %}
    {%- if not execute %}{{ return('') }}{% endif -%}
    {%- set rows = [] -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.materialized == 'managed_table' -%}
        {%- set relation = api.Relation.create(database=node.database, schema=node.schema, identifier=node.name) -%}
        {%- set ddl = context['create_core_' ~ node.name](relation) -%}
        {%- set states = {} -%}
        {%- for state, trigger in modules.re.findall('enable (always|replica) trigger ([a-z_]+)', ddl) -%}
            {%- do states.update({trigger: state[0] | upper}) -%}
        {%- endfor -%}
        {%- for trigger in modules.re.findall('create or replace trigger ([a-z_]+) ', ddl) -%}
            {%- do rows.append(
                "('" ~ node.schema ~ '.' ~ node.name ~ "', '" ~ trigger ~ "', '" ~ states.get(trigger, 'O') ~ "')"
            ) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(rows | sort | join(', ')) }}
{% endmacro %}
