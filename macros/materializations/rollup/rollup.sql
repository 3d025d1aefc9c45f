{#
    A rollup: closed buckets stored in <rollup>_stored, newer ones computed from the source when asked, one view over both.
    Config: bucket (hour, day), grain (its key columns), source (the time-series table), time_column (of what it reads),
    parent (the rollup it reads, if any), stored_indexes (lists of columns), compress_orderby. The model's SQL holds
    `where {{ in_rollup_window(column) }}`. A build refreshes it; nothing is ever lost, also not on --full-refresh. A changed
    definition is stored anew from raw rows, as <rollup>_stored_<version>; what they no longer cover is kept
    (macros/timeseries/create_rollup_version_functions.sql).
#}
{% materialization rollup, adapter='postgres' %}
    {%- set relation = this.incorporate(type='view') -%}
    {%- set window = in_rollup_window(config.get('time_column', 'time')) -%}
    {% if window not in sql %}
        {{ exceptions.raise_compiler_error(this ~ ' needs `where {{ in_rollup_window("<time column>") }}` in its SQL') }}
    {% endif %}
    {% if not config.get('grain') %}
        {{ exceptions.raise_compiler_error(this ~ ' needs `grain` in its config: the columns it groups by') }}
    {% endif %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {% do take_build_lock() %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% set kind = 'continuous_aggregate' if has_continuous_aggregates() else 'incremental' %}
    {% set present = present_version(relation, model, sql, kind) %}
    {% if present.outdated %}
        {% do store_next_version(relation, model, sql, window, kind, present) %}
    {% else %}
        {% do store_version(relation, model, sql, window, kind, present.number) %}
        {% if kind == 'incremental' %}
            {{ adapter.commit() }}
            {% do run_query("call internal.refresh_rollup('" ~ relation.identifier ~ "')") %}
            {% do begin_again() %}
        {% endif %}
    {% endif %}
    {% set retired = retired_columns(relation, model) %}
    {% call statement('main') %}
        {{ replace_view_in_place(relation, rollup_view_sql(relation, model, sql, window, retired), recreate_dependents=true) }}
    {% endcall %}
    {% do assert_no_drift(relation, model, retired.keys() | list) %}
    {% do persist_comments(relation, model) %}
    {% do apply_grants(relation, config.get('grants'), should_revoke=False) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {#- in a transaction of its own, which keeps nothing locked that readers or background jobs may want meanwhile #}
    {% do begin_again() %}
    {% call statement('superseded') %}select internal.drop_superseded(){% endcall %}
    {{ adapter.commit() }}
    {% if kind == 'continuous_aggregate' %}
        {#- always current without a refresh; one by a build could meet that of the policy, which TimescaleDB refuses #}
        {% do begin_again() %}
        {% call statement('policies') %}{{ ensure_object(relation, set_rollup_policies(relation, model)) | trim or 'select 1' }}{% endcall %}
        {{ adapter.commit() }}
    {% endif %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}
