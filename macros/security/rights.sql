{#
    What each role may do, as rows of role, kind (database, schema, relation, column or routine), object, column and privilege,
    computed from what is there: a new table, view or function is covered by the next build. governance_owner needs none.
#}
{% macro wanted_rights() %}
    {%- set domains = [] -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.config.materialized == 'managed_table' -%}
        {%- do domains.append("('" ~ node.name ~ "', '" ~ node.fqn[-2] ~ "')") -%}
    {%- endfor -%}
    with domains (name, domain) as (values {{ domains | sort | join(', ') }}),
    relations as (
        select c.oid, n.nspname as schema, c.relname as name, c.relkind, d.domain, format('%I.%I', n.nspname, c.relname) as object
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        left join domains as d on n.nspname = 'core' and d.name = c.relname
        where {{ in_our_schemas('n.nspname') }} and c.relkind in ('r', 'p', 'v', 'm', 'S')
            -- a partition is read through its table; the default one is looked into by a rule
            and (not c.relispartition or pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT')
    ),
    columns as (
        select r.*, a.attname as column_name
        from relations as r
        inner join pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
    )
    select w.role, 'schema' as kind, w.schema as object, null::text as column_name, w.privilege
    from (values
        {%- for role, schemas in {
            'governance_dbt': our_schemas(), 'governance_app': ['core', 'internal', 'reporting'], 'governance_sealer': ['internal'],
            'governance_auditor': ['core', 'internal', 'reporting', 'rollups', 'verification'], 'governance_reader': ['reporting'],
        }.items() -%}
        {%- for schema in schemas %}
        ('{{ role }}', '{{ schema }}', 'USAGE'),
        {%- endfor -%}{%- endfor %}
        ('governance_dbt', 'rollups', 'CREATE')
    ) as w (role, schema, privilege)
    where to_regnamespace(w.schema) is not null
    union all
    -- what everybody has by default and some servers take away
    select w.role, 'database', quote_ident(current_database()), null, p.privilege
    from unnest(array['governance_dbt', 'governance_app', 'governance_sealer', 'governance_auditor', 'governance_reader']) as w (role)
    cross join unnest(array['CONNECT', 'TEMPORARY']) as p (privilege)
    where p.privilege = 'CONNECT' or w.role = 'governance_dbt'
    union all
    -- reports and their readers
    select w.role, 'relation', r.object, null, 'SELECT'
    from relations as r
    cross join unnest(array['governance_reader', 'governance_auditor', 'governance_app', 'governance_dbt']) as w (role)
    where r.schema = 'reporting'
    union all
    -- the auditor: the trail, its seals, what verification found, and what else a compliance report is made of
    select 'governance_auditor', 'relation', r.object, null, 'SELECT'
    from relations as r
    where r.schema = 'verification' or r.object = 'core.audit_logs' or r.schema = 'internal' and r.name ~ '^(audit|verification)_' and r.relkind <> 'S'
        or r.object in ('{{ read_by_auditors() | join("', '") }}')
    union all
    -- applications: what people maintain; what happened is added, never changed
    select 'governance_app', 'relation', r.object, null, p.privilege
    from relations as r
    cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) as p (privilege)
    where r.domain in ('identity', 'access', 'organization', 'governance', 'monitoring') and r.name <> 'audit_logs'
        or r.object in ('core.{{ maintained_by_applications() | join("', 'core.") }}')
    union all
    select 'governance_app', 'relation', r.object, null, 'INSERT'
    from relations as r
    where r.object in ('core.llm_metrics', 'core.system_metrics')
    union all
    select 'governance_app', 'column', c.object, c.column_name, 'INSERT'
    from columns as c
    where c.object = 'core.audit_logs' and c.column_name not in ('recorded_at', 'epoch', 'xid', 'db_user', 'checksum_version', 'checksum')
    union all
    -- ON CONFLICT reads the columns it names; TimescaleDB refuses rights on single columns of what it compresses
    select 'governance_app', 'column', c.object, c.column_name, 'SELECT'
    from columns as c
    where c.object = 'core.llm_metrics' and c.relkind = 'p' and c.column_name in ('request_id', 'time')
    union all
    -- the runtime reads all but what opens an account, a session or a key; bcrypt hashes it compares with well-known passwords
    select 'governance_dbt', 'relation', r.object, null, 'SELECT'
    from relations as r
    where r.schema <> 'reporting' and r.relkind <> 'S' and not exists (
        select from columns as c where c.oid = r.oid and c.schema = 'core' and c.column_name in ('{{ secret_columns() | join("', '") }}')
    )
    union all
    select 'governance_dbt', 'column', c.object, c.column_name, 'SELECT'
    from columns as c
    where c.schema = 'core' and c.column_name not in ('{{ secret_columns() | join("', '") }}') and exists (
        select from columns as s where s.oid = c.oid and s.column_name in ('{{ secret_columns() | join("', '") }}')
    )
    union all
    -- it writes usage, prices, what follows from them, seeds, and its own notes; not what it is told, nor the trail
    select 'governance_dbt', 'relation', r.object, null, p.privilege
    from relations as r
    cross join unnest(array['INSERT', 'UPDATE', 'DELETE']) as p (privilege)
    where r.relkind <> 'S' and (
        r.domain in ('metrics', 'finance') or r.schema = 'seeds'
        or r.schema = 'internal' and r.name not in ('{{ tables_of_the_owner() | join("', '") }}')
            -- of the trail it notes what it has checked
            and (r.name !~ '^audit_' or r.name = 'audit_checks')
    )
    union all
    -- not how far raw rows are kept
    select 'governance_dbt', 'column', c.object, c.column_name, 'UPDATE'
    from columns as c
    where c.object = 'internal.time_series' and c.column_name <> 'dropped_before'
    union all
    select 'governance_dbt', 'relation', r.object, null, p.privilege
    from relations as r
    cross join unnest(array['USAGE', 'SELECT', 'UPDATE']) as p (privilege)
    where r.schema in ('core', 'internal') and r.relkind = 'S'
    union all
    select w.role, 'routine', p.oid::regprocedure::text, null, 'EXECUTE'
    from pg_proc as p
    inner join (values
        {%- for name in routines_of_the_runtime() %}
        ('governance_dbt', '{{ name }}'),
        {%- endfor %}
        ('governance_sealer', 'seal_audit_trail'),
        ('governance_auditor', 'audit_text')
    ) as w (role, name) on w.name = p.proname
    where p.pronamespace = to_regnamespace('internal')
{% endmacro %}

{% macro secret_columns() %}{{ return(['token_hash', 'key_hash', 'secret_ciphertext', 'backup_code_hashes']) }}{% endmacro %}

{# Of the other domains, what a portal maintains: money that people decide on, and whom and what a name means. #}
{% macro maintained_by_applications() %}
    {{ return(['budgets', 'cost_adjustments', 'exchange_rates', 'model_prices', 'price_agreements', 'shared_costs', 'name_aliases']) }}
{% endmacro %}

{# What the compliance report reads outside of reporting, verification and the trail: counts, times and settings. #}
{% macro read_by_auditors() %}
    {{ return([
        'internal.settings', 'internal.rollup_state', 'internal.loads', 'internal.load_batches', 'internal.dbt_results',
        'rollups.llm_model_daily', 'rollups.llm_policy_daily',
    ]) }}
{% endmacro %}

{# What the runtime reads and may not change: what it is told, what it is measured by, and the seals. #}
{% macro tables_of_the_owner() %}
    {{ return(['settings', 'schema_changes', 'schema_objects', 'hierarchy_guards', 'time_series', 'demo_state', 'rollup_history']) }}
{% endmacro %}

{# Functions that not everybody may call and a running warehouse has to. #}
{% macro routines_of_the_runtime() %}
    {{ return([
        'ensure_partitions', 'drop_past_retention', 'open_chunks', 'close_chunks', 'note_gone_parts', 'note_refreshed',
        'refresh_model_names', 'name_models', 'find_budget_crossings', 'settle_closed_periods', 'causes_of_difference', 'close_period', 'requests_of_budget',
        'cost_requests', 'begin_repricing', 'reprice',
        'compare_rollup', 'compare_day', 'days_to_compare', 'refresh_in_background', 'rollup_watermark', 'function_answers',
        'audit_text', 'key_of_hash',
    ]) }}
{% endmacro %}

{# Rights that roles of ours have, of all that wanted_rights speaks of. #}
{% macro present_rights() %}
    select a.grantee::regrole::text as role, held.kind, held.object, held.column_name, a.privilege_type as privilege
    from (
        select 'schema' as kind, quote_ident(n.nspname) as object, null::text as column_name, n.nspacl as acl, n.nspowner as owner
        from pg_namespace as n
        where {{ in_our_schemas('n.nspname') }}
        union all
        select 'database', quote_ident(d.datname), null, d.datacl, d.datdba from pg_database as d where d.datname = current_database()
        union all
        select 'relation', format('%I.%I', n.nspname, c.relname), null, c.relacl, c.relowner
        from pg_class as c inner join pg_namespace as n on n.oid = c.relnamespace
        where {{ in_our_schemas('n.nspname') }}
        union all
        select 'column', format('%I.%I', n.nspname, c.relname), a.attname, a.attacl, c.relowner
        from pg_attribute as a
        inner join pg_class as c on c.oid = a.attrelid inner join pg_namespace as n on n.oid = c.relnamespace
        where {{ in_our_schemas('n.nspname') }} and a.attacl is not null and not a.attisdropped
        union all
        select 'routine', p.oid::regprocedure::text, null, p.proacl, p.proowner
        from pg_proc as p inner join pg_namespace as n on n.oid = p.pronamespace
        where {{ in_our_schemas('n.nspname') }}
    ) as held
    cross join lateral aclexplode(held.acl) as a
    where a.grantee <> held.owner and a.grantee::regrole::text in ('{{ database_roles() | join("', '") }}')
{% endmacro %}

{# Statements that bring present rights to the wanted ones; without revoke it only adds. #}
{% macro changed_rights(revoke) %}
    {%- set query -%}
        with wanted as materialized ({{ wanted_rights() }}),
        present as materialized ({{ present_rights() }}),
        owned as (
            select format('%I.%I', n.nspname, c.relname) as object, 'relation' as kind, c.relowner as owner
            from pg_class as c inner join pg_namespace as n on n.oid = c.relnamespace where {{ in_our_schemas('n.nspname') }}
            union all
            select quote_ident(n.nspname), 'schema', n.nspowner from pg_namespace as n where {{ in_our_schemas('n.nspname') }}
            union all
            select quote_ident(d.datname), 'database', d.datdba from pg_database as d where d.datname = current_database()
            union all
            select p.oid::regprocedure::text, 'routine', p.proowner from pg_proc as p inner join pg_namespace as n on n.oid = p.pronamespace where {{ in_our_schemas('n.nspname') }}
        ),
        changes as (
            select 'grant' as verb, m.* from (select * from wanted except select * from present) as m
            {%- if revoke %}
            union all
            select 'revoke', x.* from (select * from present except select * from wanted) as x
            {%- endif %}
        ),
        spelt as (
            select
                c.verb, c.role, c.kind, c.object, o.owner,
                string_agg(distinct lower(c.privilege) || coalesce(' (' || cols.names || ')', ''), ', ') as privileges
            from (select verb, role, case kind when 'column' then 'relation' else kind end as kind, object, privilege, kind as of, column_name from changes) as c
            cross join lateral (
                select string_agg(quote_ident(s.column_name), ', ' order by s.column_name) as names
                from changes as s
                where c.of = 'column' and s.verb = c.verb and s.role = c.role and s.object = c.object and s.kind = 'column' and s.privilege = c.privilege
            ) as cols
            inner join owned as o on o.object = c.object and o.kind = c.kind
            -- its owner has them anyway
            where pg_get_userbyid(o.owner) <> c.role
            group by c.verb, c.role, c.kind, c.object, o.owner
        ),
        gathered as (
            select verb, role, kind, privileges, owner, string_agg(object, ', ' order by object) as objects
            from spelt
            group by verb, role, kind, privileges, owner
        )
        select
            format('%s %s on %s %s %s %I', g.verb, g.privileges, case g.kind when 'relation' then 'table' else g.kind end, g.objects, case g.verb when 'grant' then 'to' else 'from' end, g.role) as sql,
            pg_has_role(current_user, g.owner, 'usage') as may,
            format('%s gets no rights on what is %s''s, for %s may not give them: let %s run `governance roles apply`', g.role, pg_get_userbyid(g.owner), current_user, pg_get_userbyid(g.owner)) as cannot
        from gathered as g
        union all
        select
            'revoke create on schema public from public', pg_has_role(current_user, n.nspowner, 'usage'),
            format('everybody may create in schema public, for %s may not change that: let %s run `revoke create on schema public from public`', current_user, pg_get_userbyid(n.nspowner))
        from pg_namespace as n
        where n.nspname = 'public' and {{ is_a_database_of_ours() }}
            and exists (select from aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as a where a.grantee = 0 and a.privilege_type = 'CREATE')
        order by sql
    {%- endset -%}
    {{ return(statements_of(query)) }}
{% endmacro %}

{# To own a relation in rollups the runtime must be able to make one there. #}
{% macro missing_schema_rights() %}
    {%- set query -%}
        select 'grant usage, create on schema rollups to governance_dbt' as sql, pg_has_role(current_user, n.nspowner, 'usage') as may, '' as cannot
        from pg_namespace as n
        where n.nspname = 'rollups' and not exists (
            select from aclexplode(n.nspacl) as a where a.grantee = to_regrole('governance_dbt') and a.privilege_type = 'CREATE'
        ) and pg_has_role(current_user, n.nspowner, 'usage')
    {%- endset -%}
    {{ return(statements_of(query)) }}
{% endmacro %}
