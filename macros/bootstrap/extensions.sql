{#
    A hook of its own before bootstrap: which engine there is, and so what bootstrap creates, can be found out only with
    the extension.
#}
{% macro create_extensions() %}
    {%- if execute and writes_schema() -%}
        {%- set missing = missing_extensions() -%}
        {%- if missing | length -%}
            select pg_advisory_xact_lock({{ lock_key('build') }});
            {% for name in missing %}create extension if not exists "{{ name }}" schema public;
            {% endfor %}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{#
    Names of the extensions that are to be created; raises where the role may not, with what an administrator has to run.
    TimescaleDB counts only where the server has loaded it (anyone sees the setting of its loader), else creating it ends
    the session. pgcrypto and uuid-ossp are for applications, so a server without their files does without.
#}
{% macro missing_extensions() %}
    {%- set query -%}
        select
            wanted.name,
            available.name is not null as is_available,
            coalesce(
                (select rolsuper from pg_roles where rolname = current_user)
                or versions.trusted and has_database_privilege(current_database(), 'create'),
                false
            ) as is_allowed,
            quote_ident(current_database()) as database,
            quote_ident(current_user) as role
        from unnest(array['timescaledb', 'btree_gist', 'pg_trgm', 'pgcrypto', 'uuid-ossp']) as wanted (name)
        left join pg_available_extensions as available on available.name = wanted.name
        left join pg_available_extension_versions as versions
            on versions.name = available.name and versions.version = available.default_version
        where available.installed_version is null
            and case wanted.name
                when 'timescaledb' then '{{ var("time_series_engine") }}' <> 'postgres' and available.name is not null
                    and exists (select from pg_settings where name = 'timescaledb.disable_load' and setting = 'off')
                when 'pgcrypto' then available.name is not null
                when 'uuid-ossp' then available.name is not null
                else true
            end
        order by wanted.name <> 'timescaledb', wanted.name
    {%- endset -%}
    {%- set missing = run_query(query).rows -%}
    {%- set absent = missing | rejectattr('is_available') | map(attribute='name') | list -%}
    {%- if absent | length -%}
        {{ exceptions.raise_compiler_error(
            'the server has no files of the extension ' ~ absent | join(' and ') ~ ': install those that come with PostgreSQL (the package postgresql-contrib), then build again'
        ) }}
    {%- endif -%}
    {%- set refused = missing | rejectattr('is_allowed') | map(attribute='name') | list -%}
    {%- if refused | length -%}
        {%- set statements = [] -%}
        {%- for name in refused %}{% do statements.append('create extension "' ~ name ~ '" schema public') %}{% endfor -%}
        {{ exceptions.raise_compiler_error(
            'role ' ~ missing[0]['role'] ~ ' may not create the extensions this project needs: let an administrator run `' ~ statements | join('; ') ~ '` in database ' ~ missing[0]['database'] ~ ', then build again'
        ) }}
    {%- endif -%}
    {%- set elsewhere -%}
        select e.extname, n.nspname
        from pg_extension as e
        inner join pg_namespace as n on n.oid = e.extnamespace
        where e.extname in ('timescaledb', 'btree_gist', 'pg_trgm') and n.nspname <> 'public'
        order by e.extname
    {%- endset -%}
    {%- for row in run_query(elsewhere).rows -%}
        {{ exceptions.raise_compiler_error(
            'extension ' ~ row['extname'] ~ ' lies in schema ' ~ row['nspname'] ~ ', where this project does not look for it: let its owner run `alter extension ' ~ row['extname'] ~ ' set schema public`, then build again'
        ) }}
    {%- endfor -%}
    {{ return(missing | map(attribute='name') | list) }}
{% endmacro %}
