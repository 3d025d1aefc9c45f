{#
    Which engine keeps the time series: `timescaledb` (Community licence), `timescaledb_apache` or `postgres`. The var
    decides, else what works: tables that began as native partitions stay native until they are moved, and the edition is
    found by trying, for the setting timescaledb.license is not to be trusted on every build.
#}
{% macro time_series_engine() %}
    {% if not execute %}{{ return('postgres') }}{% endif %}
    {#- nodes run after the hooks, which make what it depends on, and a run has one graph #}
    {% set is_settled = model is defined and model.resource_type != 'operation' %}
    {% if is_settled and graph.time_series_engine %}{{ return(graph.time_series_engine) }}{% endif %}
    {% set query %}
        do $$
        declare
            engine text := 'postgres';
        begin
            if exists (select from pg_extension where extname = 'timescaledb')
                and not exists (select from pg_partitioned_table where partrelid = to_regclass('core.llm_metrics')) then
                begin
                    perform public.remove_retention_policy('pg_catalog.pg_class');
                exception
                    when feature_not_supported then engine := 'timescaledb_apache';
                    when others then engine := 'timescaledb';
                end;
            end if;
            perform set_config('governance.engine', engine, false);
        end $$;
        select current_setting('governance.engine')
    {% endset %}
    {% set found = run_query(query).columns[0].values()[0] %}
    {% set wanted = var('time_series_engine') %}
    {% if wanted and wanted not in ['postgres', 'timescaledb_apache', 'timescaledb'] %}
        {{ exceptions.raise_compiler_error("time_series_engine '" ~ wanted ~ "' is not known; use postgres, timescaledb_apache or timescaledb, or leave it empty") }}
    {% elif wanted == 'timescaledb' and found != 'timescaledb' or wanted == 'timescaledb_apache' and found == 'postgres' %}
        {{ exceptions.raise_compiler_error("time_series_engine is set to '" ~ wanted ~ "', but this database can only do '" ~ found ~ "'; leave the var empty, or install TimescaleDB") }}
    {% endif %}
    {% if is_settled %}{% do graph.update({'time_series_engine': wanted or found}) %}{% endif %}
    {{ return(wanted or found) }}
{% endmacro %}

{#
    Continuous aggregates have buckets of a fixed width: days of UTC only. time_bucket with a time zone is accepted in them, but
    loses rows at the edges of buckets and in the hours of a clock change.
#}
{% macro has_continuous_aggregates() %}
    {{ return(time_series_engine() == 'timescaledb' and var('reporting_timezone') == 'UTC') }}
{% endmacro %}

{# What an engine cannot do, in words for `governance status`; empty where nothing is missing. #}
{% macro engine_limits(engine) %}
    {% set limits = {
        'postgres': 'compression, continuous aggregates, background policies (rollups are incremental, `governance retain` drops partitions)',
        'timescaledb_apache': 'compression, continuous aggregates, background policies (rollups are incremental, `governance retain` drops chunks)',
        'timescaledb': '' if var('reporting_timezone') == 'UTC' else 'continuous aggregates in a zone other than UTC (rollups are incremental)',
    } %}
    {{ return(limits[engine]) }}
{% endmacro %}
