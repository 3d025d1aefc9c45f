{#
    Steps for databases that already hold data: macros/schema/changes/change_NNNN_<what>.sql, each applied once, in the
    order of its number, before any other DDL. A new database gets today's DDL and has all of them recorded as its
    baseline. CONTRIBUTING.md says how to write one.
#}
{% macro apply_schema_changes() %}
    {%- if execute and writes_schema() -%}
        {%- set pending = pending_schema_changes() -%}
        {%- if pending is none %}{% do assert_database_fits() %}{% endif -%}
        {%- if pending is none or pending | length -%}
            {% do assert_may_change_schema(pending) %}
            {% do run_query(create_change_ledger()) %}
            {% do take_applier_lock() %}
            {#- another applier may have been first -#}
            {% for change in pending_schema_changes() %}
                {% do apply_schema_change(change) %}
            {% endfor %}
            {% do run_query('select pg_advisory_unlock(' ~ lock_key('schema_changes') ~ ')') %}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}

{# Other commands, such as `dbt test` and `dbt compile`, leave the schema as it is. #}
{% macro writes_schema() %}{{ return(flags.WHICH in ['build', 'run', 'seed', 'run-operation']) }}{% endmacro %}

{# Every change of this release in order. Its text is the same on every engine and with every var, so the checksum is too. #}
{% macro schema_changes() %}
    {%- set changes = [] -%}
    {%- for name in context.keys() | sort if modules.re.match('change_[0-9]{4}_', name) -%}
        {%- set text = context[name]() | trim -%}
        {%- do changes.append({'id': name[7:11] | int, 'name': name, 'text': text, 'checksum': local_md5(text)}) -%}
    {%- endfor -%}
    {{ return(changes) }}
{% endmacro %}

{# Changes that are still to be applied; none where there is no ledger, as in an empty database. #}
{% macro pending_schema_changes() %}
    {%- set ledger = schema_change_ledger() -%}
    {%- if ledger is none %}{{ return(none) }}{% endif -%}
    {%- set changes = schema_changes() -%}
    {%- set recorded = {} -%}
    {%- for row in ledger -%}
        {%- if row['id'] not in changes | map(attribute='id') -%}
            {{ exceptions.raise_compiler_error(
                'the database was changed by a newer release (' ~ row['name'] ~ '), which this one does not know; use that release'
            ) }}
        {%- endif -%}
        {%- do recorded.update({row['id']: row}) -%}
    {%- endfor -%}
    {%- set pending = [] -%}
    {%- for change in changes -%}
        {%- set row = recorded.get(change.id) -%}
        {%- if row is none or row['state'] == 'started' -%}
            {%- do pending.append(change) -%}
        {%- elif row['checksum'] != change.checksum -%}
            {{ exceptions.raise_compiler_error(
                change.name ~ ' is not what was applied to this database as ' ~ row['name'] ~ ': a change that was applied is never edited; restore its text and put what is new into a change of the next number'
            ) }}
        {%- endif -%}
    {%- endfor -%}
    {{ return(pending) }}
{% endmacro %}

{# Rows of internal.schema_changes; none where there is no such table. #}
{% macro schema_change_ledger() %}
    {%- set query -%}
        select
            has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as is_readable,
            pg_get_userbyid(c.relowner) as owner,
            current_user as role
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = 'internal' and c.relname = 'schema_changes'
    {%- endset -%}
    {%- set found = run_query(query).rows -%}
    {%- if not found | length %}{{ return(none) }}{% endif -%}
    {%- if not found[0]['is_readable'] -%}
        {{ exceptions.raise_compiler_error(
            'role ' ~ found[0]['role'] ~ ' may not read internal.schema_changes and so cannot tell whether the schema fits this release; let ' ~ found[0]['owner'] ~ ' grant it usage on schema internal and select on the table, or build as ' ~ found[0]['owner']
        ) }}
    {%- endif -%}
    {{ return(run_query('select id, name, checksum, state from internal.schema_changes').rows) }}
{% endmacro %}

{# Role that owns what bootstrap made, none in an empty database. #}
{% macro built_by() %}
    {%- set query -%}
        select pg_get_userbyid(c.relowner)
        from pg_class as c
        inner join pg_namespace as n on n.oid = c.relnamespace
        where n.nspname = 'internal' and c.relname = 'schema_objects'
    {%- endset -%}
    {%- set found = run_query(query).rows -%}
    {{ return(found[0][0] if found | length else none) }}
{% endmacro %}

{% macro assert_may_change_schema(pending) %}
    {%- set owner = built_by() -%}
    {%- if owner and not run_query("select pg_has_role(" ~ dbt.string_literal(dbt.escape_single_quotes(owner)) ~ ", 'usage')").columns[0].values()[0] -%}
        {%- set names = (schema_changes() if pending is none else pending) | map(attribute='name') | join(', ') -%}
        {{ exceptions.raise_compiler_error(
            'the schema is older than this release, and this role may not change it (' ~ (names or 'there is no ledger of changes yet') ~ '): run `governance migrate` as ' ~ owner ~ ', then build again'
        ) }}
    {%- endif -%}
{% endmacro %}

{#
    In one transaction, so that whether a database is new is asked once. The tables are looked for in the catalog:
    waiting for the lock leaves a session's cache of names as it was, so to_regclass would not see what another made.
#}
{% macro create_change_ledger() %}
do $do$
begin
    perform pg_advisory_xact_lock({{ lock_key('build') }});
    if exists (select from pg_tables where schemaname = 'internal' and tablename = 'schema_changes') then
        return;
    end if;
    if not exists (select from pg_namespace where nspname = 'internal') then
        create schema internal;
    end if;
    create table internal.schema_changes (
        id integer constraint schema_changes_pkey primary key,
        name text not null,
        checksum text not null,
        kind text not null constraint schema_changes_kind_check check (kind in ('baseline', 'applied')),
        state text not null constraint schema_changes_state_check check (state in ('started', 'done')),
        applied_at timestamptz not null,
        duration interval
    );
    comment on table internal.schema_changes is 'One row per schema change: applied to this database, or part of the DDL it began with (baseline).';
    comment on column internal.schema_changes.state is 'started: a change outside a transaction that has yet to end, or was stopped and will be run again.';
    if not exists (select from pg_tables where schemaname = 'internal' and tablename = 'schema_objects') then
        insert into internal.schema_changes (id, name, checksum, kind, state, applied_at)
        select id, name, checksum, 'baseline', 'done', now()
        from jsonb_to_recordset($json${{ baseline_rows() }}$json$) as c (id integer, name text, checksum text);
    end if;
end $do$
{% endmacro %}

{% macro baseline_rows() %}
    {%- set rows = [] -%}
    {%- for change in schema_changes() -%}
        {%- do rows.append({'id': change.id, 'name': change.name, 'checksum': change.checksum}) -%}
    {%- endfor -%}
    {{ return(tojson(rows)) }}
{% endmacro %}

{#
    One applier at a time. A lock of the session, since a change outside a transaction can't hold one of a transaction;
    asked for again and again, since `create index concurrently` waits for every statement that waits.
#}
{% macro take_applier_lock() %}
    {%- set state = namespace(is_taken=false) -%}
    {%- for attempt in range(1500) if not state.is_taken -%}
        {%- set state.is_taken = run_query('select pg_try_advisory_lock(' ~ lock_key('schema_changes') ~ ')').columns[0].values()[0] -%}
        {%- if not state.is_taken %}{% do run_query('select pg_sleep(0.1 + random() * 0.2)') %}{% endif -%}
    {%- endfor -%}
    {%- if not state.is_taken -%}
        {{ exceptions.raise_compiler_error('another session has been applying schema changes for five minutes; build again once it has ended') }}
    {%- endif -%}
{% endmacro %}

{% macro apply_schema_change(change) %}
    {% do run_query('set statement_timeout = 0') %}
    {%- if change.text.startswith('-- outside a transaction') -%}
        {% do print('running ' ~ change.name ~ ', which may take its time and stops nobody') %}
        {% do run_query(start_schema_change(change)) %}
        {% for statement in change.text.split('\n-- then\n') %}{% do run_query(statement) %}{% endfor %}
        {% do run_query("update internal.schema_changes set state = 'done', duration = clock_timestamp() - applied_at where id = " ~ change.id) %}
    {%- else -%}
        {% do run_query(run_schema_change(change)) %}
    {%- endif -%}
    {% do run_query('reset statement_timeout') %}
    {% do print('applied ' ~ change.name) %}
{% endmacro %}

{#
    The change and its row of the ledger in one transaction. Locks are waited for 300 ms at a time, and given back while
    waiting for the next attempt, so that nobody queues behind us for long.
#}
{% macro run_schema_change(change) %}
do $program$
declare
    deadline constant timestamptz := clock_timestamp() + interval '{{ var("schema_change_patience") }}';
    began timestamptz;
    holders text;
begin
    loop
        begin
            began := clock_timestamp();
            set local lock_timeout = '300ms';
            execute $change$
{{ change.text }}
$change$;
            insert into internal.schema_changes (id, name, checksum, kind, state, applied_at, duration)
            values ({{ change.id }}, '{{ change.name }}', '{{ change.checksum }}', 'applied', 'done', began, clock_timestamp() - began);
            return;
        exception
            when lock_not_available or deadlock_detected then
                if clock_timestamp() > deadline then
                    select string_agg(format('pid %s (%s) since %s', a.pid, coalesce(nullif(a.application_name, ''), a.usename), date_trunc('second', a.xact_start)), ', ' order by a.xact_start)
                    into holders
                    from pg_stat_activity as a
                    where a.datname = current_database() and a.pid <> pg_backend_pid() and a.xact_start is not null
                        and exists (select from pg_locks as l where l.pid = a.pid and l.locktype = 'relation' and l.granted and l.relation >= 16384);
                    raise exception '{{ change.name }} changed nothing, for it did not get its locks within {{ var("schema_change_patience") }}: end the open transactions, or wait for them, and build again. Open: %', coalesce(holders, 'none any more')
                        using errcode = 'lock_not_available';
                end if;
            when others then
                raise exception '{{ change.name }} failed and changed nothing: %', sqlerrm using errcode = sqlstate;
        end;
        perform pg_sleep(0.1 + random() * 0.4);
    end loop;
end $program$
{% endmacro %}

{% macro start_schema_change(change) %}
insert into internal.schema_changes (id, name, checksum, kind, state, applied_at)
values ({{ change.id }}, '{{ change.name }}', '{{ change.checksum }}', 'applied', 'started', clock_timestamp())
on conflict (id) do update
set name = excluded.name, checksum = excluded.checksum, applied_at = excluded.applied_at
{% endmacro %}
