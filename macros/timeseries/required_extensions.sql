{# What the project cannot do without on this engine, as rows of VALUES: extension and what for. #}
{% macro required_extensions() %}
    {%- set rows = ["('pg_trgm', 'the search for people')", "('btree_gist', 'the constraints against overlapping periods')"] -%}
    {%- if time_series_engine() != 'postgres' %}{% do rows.append("('timescaledb', 'the time series')") %}{% endif -%}
    {{ return(rows | join(', ')) }}
{% endmacro %}
