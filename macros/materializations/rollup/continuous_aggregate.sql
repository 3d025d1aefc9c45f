{#
    Closed buckets only: the live part is our view's, below a watermark that follows the refreshes. TimescaleDB's own follows the
    newest row, so a rollup without any would read all raw rows. A continuous aggregate reads a table or another continuous
    aggregate, not the view that has the rollup's name.
#}
{% macro create_continuous_aggregate(relation, node, sql, window, version, parent_stored=none) %}
    {%- set name = stored_name(relation, version) -%}
    {%- set query = portable_ddl(relation, sql) | replace(window, 'true') -%}
    {%- set parent = node.config.get('parent') -%}
    {%- if parent %}
        {%- set stored = parent_stored or run_query("select internal.stored_relation(name, version) from internal.rollup_state where name = '" ~ parent ~ "'").rows[0][0] -%}
        {%- set query = query | replace('"' ~ relation.schema ~ '"."' ~ parent ~ '"', stored) -%}
    {%- endif %}
    {#- only its owner may refresh it, and only a superuser give it away #}
    select
        set_config('governance.acting_as', current_setting('role'), true),
        set_config('role', internal.maker_of_aggregates(), true);
    create materialized view if not exists {{ name }}
    with (timescaledb.continuous, timescaledb.create_group_indexes = false) as
    {{ query }}
    with no data;
    select set_config('role', current_setting('governance.acting_as'), true);
    select internal.take_back_triggers();
    alter materialized view {{ name }} set (timescaledb.materialized_only = true);
    {#- TimescaleDB indexes the bucket itself #}
    {% for index in node.config.get('stored_indexes', []) if index != ['bucket'] %}
    create index if not exists {{ stored_index_name(name, index) }} on {{ name }} ({{ index | join(', ') }});
    {% endfor %}
{% endmacro %}

{% macro stored_index_name(stored, columns) %}{{ return(stored.split('.')[1] ~ '_' ~ columns | join('_') ~ '_idx') }}{% endmacro %}

{% macro set_rollup_policies(relation, node) %}
    {%- set every = 'hourly' if node.config.get('bucket') == 'hour' else 'daily' -%}
    {%- set query = "select internal.stored_relation(name, version) from internal.rollup_state where name = '" ~ relation.identifier ~ "'" -%}
    {%- set stored = run_query(query).rows[0][0] -%}
    select internal.set_refresh_job('{{ relation.identifier }}', interval '{{ var("refresh_" ~ every ~ "_every") }}');
    select internal.set_compression_policy(
        '{{ stored }}', interval '{{ var("compress_rollups_after") }}', '{{ node.config.get("compress_orderby", "bucket") }}', ''
    );
{% endmacro %}
