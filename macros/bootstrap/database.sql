{#
    What a first build asks of the database before it makes anything: that our schemas hold nothing of others, that others'
    tables are not hidden behind ours, and the rights it needs. dbt makes schemas before it runs hooks, so this is called
    where a schema is made, too. A database with a ledger or objects of ours was asked before.
#}
{% macro assert_database_fits() %}
    {%- set is_ours -%}
        select true from pg_tables where schemaname = 'internal' and tablename in ('schema_changes', 'schema_objects')
    {%- endset -%}
    {%- if not run_query(is_ours).rows | length -%}
        {% do assert_nothing_of_others() %}
        {%- if wanted_database_settings() is not false %}{% do assert_none_hidden() %}{% endif -%}
        {% do assert_may_create_schemas() %}
        {% do missing_extensions() %}
    {%- endif -%}
{% endmacro %}

{% macro our_schemas() %}{{ return(['core', 'internal', 'reporting', 'rollups', 'seeds', 'verification']) }}{% endmacro %}

{% macro in_our_schemas(column) %}{{ return(column ~ " in ('" ~ our_schemas() | join("', '") ~ "')") }}{% endmacro %}

{% macro assert_nothing_of_others() %}
    {%- set in_schemas -%}
        select format('%I.%I', n.nspname, c.relname) as name
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where {{ in_our_schemas('n.nspname') }} and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
            and not exists (select from pg_depend as d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
        union all
        select format('%I.%I()', n.nspname, p.proname)
        from pg_proc as p
        inner join pg_namespace as n on n.oid = p.pronamespace
        where {{ in_our_schemas('n.nspname') }}
            and not exists (select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
        order by name
    {%- endset -%}
    {%- set found = run_query(in_schemas).columns[0].values() | list -%}
    {%- if found | length -%}
        {{ exceptions.raise_compiler_error(
            'the schemas this project builds in hold what is not ours (' ~ some_of(found) ~ '), and nothing was changed: build in a database of its own, or rename the schema that is in the way (`alter schema ' ~ found[0].split('.')[0] ~ ' rename to …`)'
        ) }}
    {%- endif -%}
{% endmacro %}

{# Once search_path is ours, a program that names no schema finds our tables under these names. #}
{% macro assert_none_hidden() %}
    {%- set in_public -%}
        select format('public.%I', c.relname)
        from pg_class as c
        where c.relnamespace = to_regnamespace('public') and c.relkind in ('r', 'p', 'v', 'm', 'f')
            and c.relname in ('{{ names_on_search_path() | join("', '") }}')
            and not exists (select from pg_depend as d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
        order by 1
    {%- endset -%}
    {%- set found = run_query(in_public).columns[0].values() | list -%}
    {%- if found | length -%}
        {{ exceptions.raise_compiler_error(
            'the database holds tables of another application with the names of ours (' ~ some_of(found) ~ '), and nothing was changed: build in a database of its own, or, if both shall live in this one, with `--vars "database_settings: false"`, which leaves its search_path alone'
        ) }}
    {%- endif -%}
{% endmacro %}

{% macro some_of(names) %}
    {{ return(names[:5] | join(', ') ~ (' and ' ~ (names | length - 5) ~ ' more' if names | length > 5 else '')) }}
{% endmacro %}

{# What is found without its schema once search_path is ours. #}
{% macro names_on_search_path() %}
    {%- set names = [] -%}
    {%- for node in graph.get('nodes', {}).values() if node.resource_type in ['model', 'seed'] and node.schema in ['core', 'rollups', 'reporting'] and node.config.materialized != 'ephemeral' -%}
        {%- do names.append(node.alias or node.name) -%}
    {%- endfor -%}
    {{ return(names | sort) }}
{% endmacro %}

{% macro assert_may_create_schemas() %}
    {%- set query -%}
        select
            wanted.name,
            n.oid is null as is_missing,
            quote_ident(current_database()) as database,
            quote_ident(current_user) as role
        from unnest(array['{{ our_schemas() | join("', '") }}']) as wanted (name)
        left join pg_namespace as n on n.nspname = wanted.name
        where not case
            when n.oid is null then has_database_privilege(current_database(), 'create')
            else has_schema_privilege(n.oid, 'create')
        end
        order by is_missing desc, wanted.name
    {%- endset -%}
    {%- set refused = run_query(query).rows -%}
    {%- if refused | length -%}
        {%- set first = refused[0] -%}
        {{ exceptions.raise_compiler_error(
            'role ' ~ first['role'] ~ ' may not create ' ~ (
                'schemas in this database: let its owner run `grant create on database ' ~ first['database']
                if first['is_missing']
                else 'anything in schema ' ~ first['name'] ~ ': let its owner run `grant create, usage on schema ' ~ first['name']
            ) ~ ' to ' ~ first['role'] ~ '`, then build again'
        ) }}
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
