{#
    First half of `governance rebuild-rollups`: stores each rollup anew, also in another reporting zone, as far back as raw rows
    reach; what they no longer cover is kept. The settings and all rollups change in one transaction: who breaks it off has
    what was there before. The build that follows finds nothing to do in the rollups.
#}
{% macro rebuild_rollups() %}
    {%- if not built_by() -%}{{ return('') }}{%- endif -%}
    {% do apply_schema_changes() %}
    {%- set kind = 'continuous_aggregate' if has_continuous_aggregates() else 'incremental' -%}
    {%- set rollups = rollups_to_rebuild() -%}
    {#- no build replaces one of them meanwhile #}
    {% for rollup in rollups %}
        {% do run_query('select pg_advisory_lock(' ~ lock_key('build') ~ ", hashtext('" ~ rollup.relation.identifier ~ "'))") %}
    {% endfor %}
    {%- set began = run_query('select now()::text').rows[0][0] -%}
    {% do prepare_rebuild(rollups, kind) %}
    {% do begin_again() %}
    {% do run_query("update internal.rollup_state set definition = ''") %}
    {%- set changes = bootstrap_changes(sets_database_settings()) | trim -%}
    {% if changes %}{% do run_query(changes) %}{% endif %}
    {% for rollup in rollups %}
        {% do run_query(replace_version(rollup.relation, rollup.node, rollup.sql, rollup.window, kind)) %}
        {%- set version = present_version(rollup.relation, rollup.node, rollup.sql, kind).number -%}
        {% do store_version(rollup.relation, rollup.node, rollup.sql, rollup.window, kind, version) %}
        {% if kind == 'incremental' %}
            {% do run_query(fill_version(rollup.relation)) %}
        {% else %}
            {% do run_query("select internal.note_refreshed('" ~ rollup.relation.identifier ~ "', " ~ version ~ ", '" ~ began ~ "')") %}
        {% endif %}
        {%- set view = rollup_view_sql(
            rollup.relation, rollup.node, rollup.sql, rollup.window, retired_columns(rollup.relation, rollup.node)
        ) -%}
        {% do run_query(replace_view_in_place(rollup.relation, view, recreate_dependents=true)) %}
    {% endfor %}
    {% do run_query('commit') %}
    {% do run_query('select pg_advisory_unlock_all()') %}
{% endmacro %}

{# The rollups that have been built: each with its model and its SQL, those read by others first. #}
{% macro rollups_to_rebuild() %}
    {%- set built = run_query('select name from internal.rollup_state').columns[0].values() -%}
    {%- set found = [] -%}
    {%- for node in graph.nodes.values() if node.config.materialized == 'rollup' and node.name in built -%}
        {%- do found.append({
            'place': (1 if node.config.get('parent') else 0, node.name),
            'node': node,
            'relation': api.Relation.create(database=node.database, schema=node.schema, identifier=node.name, type='view'),
            'sql': render(node.raw_code),
            'window': in_rollup_window(node.config.get('time_column', 'time')),
        }) -%}
    {%- endfor -%}
    {{ return(found | sort(attribute='place')) }}
{% endmacro %}

{# What can't be done in one transaction and changes no answer: continuous aggregates are filled beside, hours are closed. #}
{% macro prepare_rebuild(rollups, kind) %}
    {% do run_query('select internal.drop_superseded()') %}
    {% if kind == 'continuous_aggregate' %}
        {%- set versions = {} -%}
        {% for rollup in rollups %}
            {%- set name = rollup.relation.identifier -%}
            {%- set next = present_version(rollup.relation, rollup.node, rollup.sql, kind).number + 1 -%}
            {%- do versions.update({name: stored_name(rollup.relation, next)}) -%}
            {% do run_query(
                'drop materialized view if exists ' ~ versions[name] ~ ';'
                ~ create_continuous_aggregate(
                    rollup.relation, rollup.node, rollup.sql, rollup.window, next, versions[rollup.node.config.get('parent')]
                )
            ) %}
            {% do run_query("call internal.refresh_aggregate('" ~ name ~ "', " ~ next ~ ', true)') %}
        {% endfor %}
    {% else %}
        {% if run_query("select from internal.rollup_state where kind = 'continuous_aggregate'").rows | length %}
            {#- so that writers log what they touch from now on #}
            {% for series in rollups | map(attribute='node') | map(attribute='config') | map(attribute='source') | unique %}
                {% do run_query(create_invalidation_log(api.Relation.create(schema='core', identifier=series))) %}
            {% endfor %}
        {% endif %}
        {% for series in rollups | map(attribute='node') | map(attribute='config') | map(attribute='source') | unique %}
            {% do run_query("call internal.close_hours('" ~ series ~ "')") %}
        {% endfor %}
    {% endif %}
{% endmacro %}
