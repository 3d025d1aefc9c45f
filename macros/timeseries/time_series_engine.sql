{#
    Which engine keeps the time series: the var, else what works. Plain PostgreSQL is the only one so far;
    a server with TimescaleDB is used as plain PostgreSQL.
#}
{% macro time_series_engine() %}
    {% set engine = var('time_series_engine') or 'postgres' %}
    {% if engine != 'postgres' %}
        {{ exceptions.raise_compiler_error("time_series_engine '" ~ engine ~ "' is not known; use postgres or leave it empty") }}
    {% endif %}
    {{ return(engine) }}
{% endmacro %}
