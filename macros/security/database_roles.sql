{#
    The roles of the database, from the one that owns everything to the one that reads reports; docs/threat-model.md says what
    each may do. Names are the server's, so databases of one server share them; rights are each database's own.
#}
{% macro database_roles() %}
    {{ return({
        'governance_owner': 'Owns the warehouse. LOGIN because policies of hypertables ask for it; it has no password.',
        'governance_migrator': 'Builds and changes the warehouse, as governance_owner.',
        'governance_dbt': 'Runs the warehouse: loads, refreshes, retains, verifies. Owns what the rollups store, changes no schema.',
        'governance_app': 'Applications: people, access, teams, policies; adds usage and entries of the audit trail.',
        'governance_sealer': 'Seals the audit trail and may nothing else.',
        'governance_auditor': 'Reads the audit trail, verification and the reports.',
        'governance_reader': 'Reads the reports and nothing else.',
    }) }}
{% endmacro %}

{# Who is a member of whom: the migrator acts as the owner, the owner may what the runtime may, the runtime seals. #}
{% macro role_memberships() %}
    {{ return([
        ('governance_migrator', 'governance_owner'),
        ('governance_owner', 'governance_dbt'),
        ('governance_dbt', 'governance_sealer'),
    ]) }}
{% endmacro %}

{#
    Brings roles, memberships, owners and rights to what they should be; with plan it only says what it would run. Nothing is
    sent where nothing differs. What this session may not do is told and left out; returns those sentences.
#}
{% macro bring_database_roles(create=true, revoke=true, plan=false, quiet=false) %}
    {%- set told = [] -%}
    {%- if create %}{% do told.extend(run_statements(missing_roles(), plan, quiet)) %}{% endif -%}
    {%- if run_query("select count(*) from pg_roles where rolname in ('" ~ database_roles() | join("', '") ~ "')").rows[0][0] == database_roles() | length or plan -%}
        {%- if create %}{% do told.extend(run_statements(missing_memberships(), plan, quiet)) %}{% endif -%}
        {#- whoever gets a relation must be able to make one there -#}
        {%- do told.extend(run_statements(missing_schema_rights(), plan, quiet)) -%}
        {%- do told.extend(run_statements(changed_owners(), plan, quiet)) -%}
        {%- do told.extend(run_statements(changed_rights(revoke), plan, quiet)) -%}
        {%- if not plan and not told | length and is_relation_there('internal.settings') -%}
            {%- do run_statements([{'sql': "insert into internal.settings (name, value) values ('database_roles', 'true') on conflict (name) do update set value = excluded.value where settings.value <> excluded.value", 'may': true, 'shown': false}], plan, true) -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(told) }}
{% endmacro %}

{# Runs or shows them; returns a sentence for each that this session may not run. #}
{% macro run_statements(statements, plan, quiet) %}
    {%- set told = [] -%}
    {%- for each in statements -%}
        {%- if not each.may -%}
            {%- do told.append(each.cannot) -%}
        {%- else -%}
            {%- if not quiet and each.get('shown', true) %}{% do print(('would run ' if plan else '') ~ each.sql) %}{% endif -%}
            {%- if not plan -%}
                {% do run_query(build_lock_sql() ~ "; set local lock_timeout = '10s'; " ~ each.sql) %}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(told | unique | list) }}
{% endmacro %}

{# Rows of a query with columns sql, may and cannot, as run_statements takes them. #}
{% macro statements_of(query) %}
    {%- set found = [] -%}
    {%- for row in run_query(query).rows -%}
        {%- do found.append({'sql': row['sql'], 'may': row['may'], 'cannot': row['cannot']}) -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}

{% macro is_relation_there(name) %}{{ return(run_query("select to_regclass('" ~ name ~ "') is not null").rows[0][0]) }}{% endmacro %}

{% macro missing_roles() %}
    {%- set query -%}
        select
            format('create role %I%s nosuperuser nocreatedb nocreaterole noreplication nobypassrls; comment on role %I is %L', w.name, case w.name when 'governance_owner' then ' login' else ' nologin' end, w.name, w.purpose) as sql,
            r.rolsuper or r.rolcreaterole as may,
            format('role %s is not there and %s may not create roles: let an administrator run `governance roles apply`, or `create role %s%s`', w.name, current_user, w.name, case w.name when 'governance_owner' then ' login' else '' end) as cannot
        from (values {% for name, purpose in database_roles().items() %}({{ loop.index }}, '{{ name }}', '{{ purpose }}'){{ ', ' if not loop.last }}{% endfor %}) as w (place, name, purpose)
        cross join pg_roles as r
        where r.rolname = current_user and not exists (select from pg_roles as p where p.rolname = w.name)
        order by w.place
    {%- endset -%}
    {{ return(statements_of(query)) }}
{% endmacro %}

{% macro missing_memberships() %}
    {%- set query -%}
        select
            format('grant %I to %I', w.role, w.member) as sql,
            -- a plan is made before the roles are
            may.all_roles or coalesce(pg_has_role(current_user, to_regrole(w.role), 'member with admin option'), false) as may,
            format('%s may not make %s a member of %s: let an administrator run `grant %s to %s`', current_user, w.member, w.role, w.role, w.member) as cannot
        from (values {% for member, role in role_memberships() %}({{ loop.index }}, '{{ member }}', '{{ role }}'){{ ', ' if not loop.last }}{% endfor %}) as w (place, member, role)
        cross join ({{ may_manage_roles() }}) as may
        where not exists (
            select from pg_auth_members as m where m.roleid = to_regrole(w.role) and m.member = to_regrole(w.member)
        )
        union all
        -- who gives something away must be a member of who gets it
        select
            format('grant governance_owner to %I', current_user), r.rolcreaterole,
            format('%s is no member of governance_owner: let an administrator run `grant governance_owner to %I`', current_user, current_user)
        from pg_roles as r
        where r.rolname = current_user and not r.rolsuper
            and not coalesce(pg_has_role(current_user, to_regrole('governance_owner'), 'usage'), false)
        union all
        select
            format('alter role governance_migrator in database %I set role = governance_owner', current_database()),
            may.all_roles,
            format('sessions of governance_migrator do not begin as governance_owner, for %s may not set that: let an administrator run `alter role governance_migrator in database %I set role = governance_owner`', current_user, current_database())
        from ({{ may_manage_roles() }}) as may
        where not exists (
            select from pg_db_role_setting as s
            inner join pg_database as d on d.oid = s.setdatabase
            where d.datname = current_database() and s.setrole = to_regrole('governance_migrator') and 'role=governance_owner' = any(s.setconfig)
        )
    {%- endset -%}
    {{ return(statements_of(query)) }}
{% endmacro %}

{% macro may_manage_roles() %}select r.rolsuper or r.rolcreaterole as all_roles from pg_roles as r where r.rolname = current_user{% endmacro %}
