{#
    Every table and view that dbt builds, and the tables of bootstrap, as rows of VALUES: name and kind. The rules are left
    out: one that is missing can't be asked, and `governance verify` says so.
#}
{% macro expected_relations() %}
    {%- if not execute %}{{ return('') }}{% endif -%}
    {%- set rows = [] -%}
    {%- for id, node in graph.nodes.items()
        if node.resource_type in ['model', 'seed'] and node.config.materialized != 'ephemeral' and node.schema != 'verification' -%}
        {%- if id not in model.depends_on.nodes -%}
            {{ exceptions.raise_compiler_error(node.name ~ ' is missing in macros/verification/depend_on.sql') }}
        {%- endif -%}
        {%- set kind = 'table' if node.config.materialized in ['managed_table', 'seed'] else 'view' -%}
        {%- do rows.append("('" ~ node.schema ~ '.' ~ node.name ~ "', '" ~ kind ~ "')") -%}
    {%- endfor -%}
    {%- for object in bootstrap_objects() if object.kind == 'table' -%}
        {%- do rows.append("('" ~ object.name ~ "', 'table')") -%}
    {%- endfor -%}
    {{ return(rows | sort | join(', ')) }}
{% endmacro %}
