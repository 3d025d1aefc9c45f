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
