{% macro create_internal_settings() %}
create table if not exists internal.settings (
    name text constraint settings_pkey primary key,
    value text not null
);
comment on table internal.settings is 'dbt vars that SQL and Python need at run time; written by each build.';
{% endmacro %}
