{# Nodes of dbt's graph that are rules: the models in a folder of models/verification, by family and name. #}
{% macro rules_in_graph() %}
    {%- set found = [] -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.fqn[1] == 'verification' and node.fqn | length == 4 -%}
        {%- do found.append({'family': node.fqn[2], 'name': node.name, 'node': node}) -%}
    {%- endfor -%}
    {{ return(found | sort(attribute='family,name')) }}
{% endmacro %}

{# The rules as rows of VALUES: so the database itself says what is verified, and no dbt is needed to ask. #}
{% macro rule_rows() %}
    {%- if not execute %}{{ return('') }}{% endif -%}
    {%- set rows = [] -%}
    {%- for rule in rules_in_graph() -%}
        {%- set description = rule.node.description.split() | join(' ') -%}
        {%- do rows.append(
            "('" ~ rule.name ~ "'::text, '" ~ rule.family ~ "'::text, '" ~ rule.node.config.meta.severity ~ "'::text, "
            ~ dollar_quote(description) ~ "::text, 'docs/rules/" ~ rule.family ~ ".md#" ~ rule.name ~ "'::text)"
        ) -%}
    {%- endfor -%}
    {{ return(rows | join(', ')) }}
{% endmacro %}
