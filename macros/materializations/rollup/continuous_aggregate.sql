{# A continuous aggregate can read a table or another continuous aggregate, not the view that has the rollup's name. #}
{% macro create_continuous_aggregate(relation, node, sql, window, version, parent_stored=none) %}
    {%- set query = portable_ddl(relation, sql) | replace(window, 'true') -%}
    {%- set parent = node.config.get('parent') -%}
    {%- if parent %}
        {%- set stored = parent_stored or run_query("select internal.stored_relation(name, version) from internal.rollup_state where name = '" ~ parent ~ "'").rows[0][0] -%}
        {%- set query = query | replace('"' ~ relation.schema ~ '"."' ~ parent ~ '"', stored) -%}
    {%- endif %}
    create materialized view if not exists {{ stored_name(relation, version) }}
    with (timescaledb.continuous, timescaledb.materialized_only = false, timescaledb.create_group_indexes = false) as
    {{ query }}
    with no data;
{% endmacro %}

{% macro set_rollup_policies(relation, node) %}
    {%- set every = 'hourly' if node.config.get('bucket') == 'hour' else 'daily' -%}
    {%- set query = "select internal.stored_relation(name, version) from internal.rollup_state where name = '" ~ relation.identifier ~ "'" -%}
    {%- set stored = run_query(query).rows[0][0] -%}
    select internal.set_refresh_job('{{ relation.identifier }}', interval '{{ var("refresh_" ~ every ~ "_every") }}');
    select internal.set_compression_policy(
        '{{ stored }}', interval '{{ var("compress_rollups_after") }}', '{{ node.config.get("compress_orderby", "bucket") }}', ''
    );
{% endmacro %}
