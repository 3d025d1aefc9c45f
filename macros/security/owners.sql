{#
    Who owns what: governance_owner everything but what is in rollups, which is the runtime's, for a continuous aggregate is
    refreshed by its owner alone.
#}
{% macro changed_owners() %}
    {%- set aggregates -%}
        {%- if is_relation_there('timescaledb_information.continuous_aggregates') -%}
            select format('%I.%I', a.view_schema, a.view_name)::regclass::oid as oid from timescaledb_information.continuous_aggregates as a
        {%- else -%}
            select null::oid as oid where false
        {%- endif -%}
    {%- endset -%}
    {%- set query -%}
        with ours as (
            select n.oid, n.nspname as name from pg_namespace as n where {{ in_our_schemas('n.nspname') }}
        ),
        objects as (
            select 1 as place, format('database %I', d.datname) as object, d.datdba as owner, 'governance_owner' as wanted,
                exists (select from pg_roles as r where r.rolname = current_user and (r.rolsuper or r.rolcreatedb)) as has_right
            from pg_database as d
            where d.datname = current_database() and {{ is_a_database_of_ours() }}
            union all
            select 2, format('schema %I', n.nspname), n.nspowner, 'governance_owner', true
            from pg_namespace as n
            inner join ours on ours.oid = n.oid
            union all
            select
                3,
                format(
                    '%s %I.%I',
                    case
                        when c.oid in (select a.oid from ({{ aggregates }}) as a) then 'materialized view'
                        when c.relkind = 'v' then 'view' when c.relkind = 'm' then 'materialized view'
                        when c.relkind = 'S' then 'sequence' when c.relkind = 'f' then 'foreign table' else 'table'
                    end,
                    ours.name, c.relname
                ),
                c.relowner,
                case ours.name when 'rollups' then 'governance_dbt' else 'governance_owner' end,
                -- what it is made of lies in a schema of TimescaleDB's, where nobody else may make anything
                c.oid not in (select a.oid from ({{ aggregates }}) as a)
            from pg_class as c
            inner join ours on ours.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
                -- the sequence of a column goes with its table
                and not exists (select from pg_depend as d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i', 'e') and c.relkind = 'S')
            union all
            select 4, format('routine %s', p.oid::regprocedure), p.proowner, 'governance_owner', true
            from pg_proc as p
            inner join ours on ours.oid = p.pronamespace
            where not exists (select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
        )
        select
            format('alter %s owner to %I', o.object, o.wanted) as sql,
            r.rolsuper or o.has_right and pg_has_role(current_user, o.owner, 'usage') and coalesce(case when current_setting('server_version_num')::integer >= 160000 then pg_has_role(current_user, to_regrole(o.wanted), 'set') else pg_has_role(current_user, to_regrole(o.wanted), 'member') end, r.rolcreaterole) as may,
            case o.place
                when 1 then format('database %s stays %s''s, so a build by governance_migrator leaves its search_path and jit as they are: let its owner or a superuser run `alter database %I owner to governance_owner`', current_database(), pg_get_userbyid(o.owner), current_database())
                else format('what the warehouse is made of stays %s''s, for %s may not give it to %s: build as %s, or let a superuser run `governance roles apply`', pg_get_userbyid(o.owner), current_user, o.wanted, pg_get_userbyid(o.owner))
            end as cannot
        from objects as o
        cross join pg_roles as r
        where r.rolname = current_user and pg_get_userbyid(o.owner) <> o.wanted
        order by o.place, o.object
    {%- endset -%}
    {{ return(statements_of(query)) }}
{% endmacro %}

{# Whether the database is the warehouse's alone: what is shared isn't given away, and others may create in its public. #}
{% macro is_a_database_of_ours() %}
    {{ return('true' if is_relation_there('internal.settings') and has_database_setting('search_path') else 'false') }}
{% endmacro %}
