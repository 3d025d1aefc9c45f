{#
    Whether the database itself gets search_path and jit, for every program that connects. The var decides. Without it: where
    it has the search_path already, or holds nothing of others and is ours to alter; another application that shares the
    database would look for its tables among ours.
#}
{% macro sets_database_settings() %}
    {%- set wanted = wanted_database_settings() -%}
    {%- if wanted is not none %}{{ return(wanted) }}{% endif -%}
    {%- if has_database_setting('search_path') %}{{ return(true) }}{% endif -%}
    {%- set query -%}
        select pg_has_role(d.datdba, 'usage') and not exists (
            select from pg_class as c
            inner join pg_namespace as n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't'
                and not {{ in_our_schemas('n.nspname') }}
                and n.nspname !~ '^(pg_|information_schema$|_timescaledb_|timescaledb_)'
                and not exists (select from pg_depend as x where x.classid = 'pg_class'::regclass and x.objid = c.oid and x.deptype = 'e')
        )
        from pg_database as d
        where d.datname = current_database()
    {%- endset -%}
    {{ return(run_query(query).columns[0].values()[0]) }}
{% endmacro %}

{% macro wanted_database_settings() %}
    {%- set given = var('database_settings', none) -%}
    {%- if given is none %}{{ return(none) }}{% endif -%}
    {%- set wanted = given | string | lower -%}
    {%- if wanted not in ['true', 'false'] -%}
        {{ exceptions.raise_compiler_error("database_settings is '" ~ given ~ "'; set it to true or false, or leave it empty") }}
    {%- endif -%}
    {{ return(wanted == 'true') }}
{% endmacro %}

{# A test compares them with DATABASE_SETTINGS of orchestration/lib/database/connection.py. #}
{% macro database_settings() %}
    {{ return({'search_path': 'core, rollups, reporting, public', 'jit': 'off'}) }}
{% endmacro %}

{# It belongs to the database, not to what a dump holds: a restored database has lost it. #}
{% macro has_database_setting(name) %}
    {%- set query -%}
        select exists (
            select from pg_db_role_setting as s
            inner join pg_database as d on d.oid = s.setdatabase
            where d.datname = current_database() and s.setrole = 0
                and '{{ name }}={{ database_settings()[name] }}' = any(s.setconfig)
        )
    {%- endset -%}
    {{ return(run_query(query).columns[0].values()[0]) }}
{% endmacro %}

{# Also takes back what an earlier build set, where the var says so. The rules read what was decided. #}
{% macro apply_database_settings(is_set) %}
do $$
declare
    present text[] := coalesce((
        select s.setconfig
        from pg_db_role_setting as s
        inner join pg_database as d on d.oid = s.setdatabase
        where d.datname = current_database() and s.setrole = 0
    ), '{}');
begin
    {%- for name, value in database_settings().items() %}
    if {{ 'not ' if is_set }}'{{ name }}={{ value }}' = any(present) then
        execute format('alter database %I {{ "set " ~ name ~ " = " ~ value if is_set else "reset " ~ name }}', current_database());
    end if;
    {%- endfor %}
end $$;
insert into internal.settings (name, value)
values ('database_settings', '{{ is_set | string | lower }}')
on conflict (name) do update set value = excluded.value;
{% endmacro %}
