{# Replaces dbt's rename-and-drop: readers, grants and other people's views on it survive a build. #}
{% materialization view, adapter='postgres' %}
    {%- set relation = this.incorporate(type='view') -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {% if pre_hooks %}{% do take_build_lock() %}{% endif %}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {%- if config.get('contract').enforced %}{{ get_assert_columns_equivalent(sql) }}{% endif %}
    {% call statement('main') %}{{ build_lock_sql() }}; {{ replace_view_in_place(relation, sql, security_barrier=config.get('security_barrier', false)) }}{% endcall %}
    {#- readers of a view that was replaced wait for this commit, and shall not wait for what else is sent from here #}
    {{ adapter.commit() }}
    {% set comments = pending_comments(relation, model) %}
    {% if comments or config.get('grants') or post_hooks %}
        {% do begin_again() %}
        {% do send_comments(comments) %}
        {% do apply_grants(relation, config.get('grants'), should_revoke=False) %}
        {{ run_hooks(post_hooks, inside_transaction=True) }}
        {{ adapter.commit() }}
    {% endif %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [relation]}) }}
{% endmaterialization %}

{#
    Unchanged: nothing is sent. Compatible: create or replace. Incompatible: drop (restrict: fails where something that isn't
    ours depends on it; a rollup has views of ours, which are dropped and made again with it), create, grant again. A lock
    is waited for 300 ms at a time, so readers never queue behind us for long, and for as long as a schema change waits.
#}
{% macro replace_view_in_place(relation, sql, recreate_dependents=false, security_barrier=false) %}
{%- set options = ' with (security_barrier = true)' if security_barrier else '' %}
{%- set name = relation.schema ~ '.' ~ relation.identifier %}
{%- set patience = var('schema_change_patience') %}
{#- each {{ sql }} ends its line, for it may end in a comment #}
do $do$
declare
    existing regclass := to_regclass('{{ name }}');
    grants text[];
    unchanged boolean;
    readers text;
    deadline constant timestamptz := clock_timestamp() + interval '{{ patience }}';
    {%- if recreate_dependents %}
    dependents regclass[];
    statements text[];
    -- undefined_table (of a view that was passed over), undefined_column, undefined_function, datatype_mismatch, cannot_coerce
    columns_differ text[] := '{42P01, 42703, 42883, 42804, 42846}';
    {%- endif %}
begin
    create temp view governance_probe as {{ sql }}
    ;
    select pg_get_viewdef(existing) = pg_get_viewdef('pg_temp.governance_probe'::regclass)
        and (
            select array_agg((attname, atttypid, atttypmod)::text order by attnum)
            from pg_attribute where attrelid = existing
        ) = (
            select array_agg((attname, atttypid, atttypmod)::text order by attnum)
            from pg_attribute where attrelid = 'pg_temp.governance_probe'::regclass
        )
        and coalesce((select reloptions from pg_class where oid = existing), '{}') = '{{ '{security_barrier=true}' if security_barrier else '{}' }}'
    into unchanged;
    -- grants on the view, and those on columns that it will still have
    select array_agg(format(
        'grant %s%s on {{ name }} to %s%s',
        acl.privilege_type,
        '(' || quote_ident(held.attname) || ')',
        case when acl.grantee = 0 then 'public' else acl.grantee::regrole::text end,
        case when acl.is_grantable then ' with grant option' else '' end
    ))
    into grants
    from pg_class as c
    cross join lateral (
        select null::name as attname, c.relacl as privileges
        union all
        select a.attname, a.attacl
        from pg_attribute as a
        inner join pg_attribute as b on b.attname = a.attname and b.attrelid = 'pg_temp.governance_probe'::regclass
        where a.attrelid = c.oid
    ) as held
    cross join lateral aclexplode(held.privileges) as acl
    where c.oid = existing and acl.grantee <> c.relowner;
    drop view pg_temp.governance_probe;
    if unchanged then
        return;
    end if;
    loop
        begin
            set local lock_timeout = '300ms';
            begin
                create or replace view {{ name }}{{ options }} as {{ sql }}
    ;
            exception when invalid_table_definition then
                {%- if recreate_dependents %}
                dependents := internal.dependent_views(existing);
                statements := '{}';
                for i in 1 .. cardinality(dependents) loop
                    statements := statements || internal.view_statements(dependents[i]);
                end loop;
                for i in reverse cardinality(dependents) .. 1 loop
                    execute format('drop view %s', dependents[i]);
                end loop;
                {%- endif %}
                drop view {{ name }};
                create view {{ name }}{{ options }} as {{ sql }}
    ;
                for i in 1 .. coalesce(array_length(grants, 1), 0) loop
                    execute grants[i];
                end loop;
                {%- if recreate_dependents %}
                for i in 1 .. coalesce(cardinality(statements), 0) loop
                    begin
                        execute statements[i];
                    exception
                        when lock_not_available or deadlock_detected then
                            raise;
                        when others then
                            -- a rule about the old columns: its own node makes it anew later in the build
                            continue when sqlstate = any (columns_differ)
                                and statements[i] ~ '^(create view|alter view|comment on view|comment on column|grant .* on) verification\.';
                            raise exception 'a view that reads {{ name }} cannot be kept with its new columns: %, in: %', sqlerrm, statements[i];
                    end;
                end loop;
                {%- endif %}
            end;
            set local lock_timeout = 0;
            return;
        exception
            when lock_not_available or deadlock_detected then
                if clock_timestamp() > deadline then
                    raise exception 'could not replace view {{ name }} within {{ patience }}: other transactions kept it locked; see pg_locks, end them and build again'
                        using errcode = 'lock_not_available';
                end if;
                perform pg_sleep(0.05 + random() * 0.1);
            when insufficient_privilege then
                raise exception 'view {{ name }} is not that of this release, and % may not change it (%): run `governance build` as %, then build again',
                    current_user, sqlerrm, (select relowner::regrole from pg_class where oid = existing)
                    using errcode = 'insufficient_privilege';
            when dependent_objects_still_exist then
                get stacked diagnostics readers = pg_exception_detail;
                raise exception 'view {{ name }} cannot get other columns while something depends on it (%); drop that and build again', replace(readers, e'\n', ', ')
                    using errcode = 'dependent_objects_still_exist';
        end;
    end loop;
end $do$
{% endmacro %}
