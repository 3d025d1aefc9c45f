{# First step of `governance move-to-hypertables`: stops where the project would build partitions again. #}
{% macro assert_moves_to_hypertables() %}
    {% if var('time_series_engine') == 'postgres' %}
        {{ exceptions.raise_compiler_error("time_series_engine is set to 'postgres', which keeps native partitions; leave the var empty and run it again") }}
    {% endif %}
{% endmacro %}

{#
    Last step of `governance move-to-hypertables` before the build: in one transaction the hypertables get the names of the
    tables, and the triggers by which rollups hear of writes.
#}
{% macro end_move_to_hypertables() %}
    {% set query %}
        select pg_advisory_xact_lock({{ lock_key('build') }});
        set local lock_timeout = '5s';
        {% for name in ['system_metrics', 'llm_metrics'] %}
        select internal.end_move('{{ name }}');
        {{ create_invalidation_log(api.Relation.create(schema='core', identifier=name)) }}
        {% endfor %}
        drop schema if exists moving;
        commit
    {% endset %}
    {% do run_query(query) %}
{% endmacro %}
