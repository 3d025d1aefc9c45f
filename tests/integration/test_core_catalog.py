"""What every core table promises, asked of the catalog: names, comments, indexes, pinned functions."""

from core_rows import value

from orchestration.lib.database.connection import Connection

OLTP_TABLES = {
    "users", "mfa_secrets", "sessions", "api_keys", "roles", "user_roles", "teams", "team_members", "policies",
    "policy_assignments", "audit_logs", "alerts", "alert_subscriptions", "name_aliases",
}  # fmt: skip
# audited and kept up to date as they are; budget_crossings is append-only
FINANCE_TABLES = {"team_budgets", "budgets", "shared_costs", "cost_adjustments", "exchange_rates"}
# of the OLTP tables and the time-series tables, without their partitions
INDEXES = """
    select i.indexrelid, i.indrelid, i.indexrelid::regclass::text as name, am.amname, i.indnkeyatts, i.indpred,
        i.indisprimary, i.indkey
    from pg_index as i
    join pg_class as c on c.oid = i.indexrelid
    join pg_class as t on t.oid = i.indrelid
    join pg_am as am on am.oid = c.relam
    where t.relnamespace = 'core'::regnamespace and not t.relispartition
"""


def names(connection: Connection, query: str) -> set[str]:
    return {row[0] for row in connection.execute(query.encode())}


def test_the_thirteen_tables_are_there(connection: Connection) -> None:
    tables = names(
        connection, "select relname from pg_class where relnamespace = 'core'::regnamespace and relkind = 'r'"
    )
    assert tables >= OLTP_TABLES


def test_core_has_the_five_functions_and_no_others(connection: Connection) -> None:
    functions = names(connection, "select proname::text from pg_proc where pronamespace = 'core'::regnamespace")
    assert functions == {
        "update_updated_at",
        "generate_audit_checksum",
        "audit_log_trigger",
        "prevent_audit_log_modification",
        "validate_permissions",
    }


def test_there_are_as_many_indexes_as_promised(connection: Connection) -> None:
    count = f"select count(*) from ({INDEXES}) as i where "
    # primary keys come with their tables and count for nothing here
    assert value(connection, count + "amname = 'btree' and not indisprimary") >= 45
    assert value(connection, count + "amname = 'gin'") >= 8
    assert value(connection, count + "amname = 'btree' and indnkeyatts > 1") >= 6
    assert value(connection, count + "name = 'alerts_severity_created_at_unresolved_idx' and indpred is not null") == 1


def test_every_index_says_what_it_is_for(connection: Connection) -> None:
    silent = f"select name from ({INDEXES}) as i where not indisprimary and obj_description(indexrelid) is null"
    assert names(connection, silent) == set()


def test_no_index_is_the_beginning_of_another(connection: Connection) -> None:
    doubled = f"""
        with i as ({INDEXES})
        select a.name || ' in ' || b.name
        from i as a
        join i as b on b.indrelid = a.indrelid and b.indexrelid <> a.indexrelid
        where a.amname = 'btree' and b.amname = 'btree' and not a.indisprimary
            and a.indpred is null and b.indpred is null
            and 0 <> all (a.indkey::int2[]) and b.indkey::text || ' ' like a.indkey::text || ' %%'
            and not (select indisunique from pg_index where indexrelid = a.indexrelid)
    """
    assert names(connection, doubled.replace("%%", "%")) == set()


def test_every_foreign_key_says_what_a_delete_does_and_has_an_index(connection: Connection) -> None:
    keys = connection.execute(
        """
        select conrelid::regclass::text || '.' || attname, confdeltype::text, exists (
            select from pg_index as i
            where i.indrelid = conrelid and i.indkey[0] = conkey[1]
                -- who deletes what a key names looks for rows that name something
                and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', attname))
        )
        from pg_constraint
        join pg_attribute on attrelid = conrelid and attnum = conkey[1]
        where contype = 'f' and connamespace = 'core'::regnamespace
        """
    ).fetchall()
    assert {name for name, _, has_index in keys if not has_index} == set()
    rules = {name.removeprefix("core."): rule for name, rule, _ in keys}
    belongs, did, carries = "c", "n", "r"
    assert rules == {
        "access_reviews.user_role_id": carries,
        "access_reviews.api_key_id": carries,
        "access_reviews.user_id": carries,
        "access_reviews.reviewer_id": carries,
        "applied_unit_prices.price_id": carries,
        "price_agreements.team_id": carries,
        "source_identities.user_id": carries,
        "source_identities.team_id": carries,
        "source_identities.api_key_id": carries,
        "price_revision_rows.revision_id": carries,
        "mfa_secrets.user_id": belongs,
        "sessions.user_id": belongs,
        "api_keys.user_id": carries,
        "api_keys.team_id": carries,
        "api_keys.created_by": did,
        "roles.parent_role_id": carries,
        "user_roles.user_id": belongs,
        "user_roles.role_id": carries,
        "user_roles.team_id": belongs,
        "user_roles.granted_by": did,
        "teams.parent_team_id": carries,
        "teams.owner_id": did,
        "team_members.team_id": belongs,
        "team_members.user_id": belongs,
        "policies.created_by": did,
        "policy_assignments.policy_id": carries,
        "policy_assignments.team_id": belongs,
        "policy_assignments.user_id": belongs,
        "policy_assignments.assigned_by": did,
        "alerts.policy_id": carries,
        "alerts.team_id": carries,
        "alerts.user_id": carries,
        "alerts.acknowledged_by": did,
        "alerts.resolved_by": did,
        "alert_subscriptions.user_id": belongs,
        "team_budgets.team_id": belongs,
        "budgets.user_id": belongs,
        "budgets.api_key_id": belongs,
        "budget_crossings.team_budget_id": belongs,
        "budget_crossings.budget_id": belongs,
        "closed_totals.month": carries,
    }


def test_every_constraint_is_named_after_its_table_and_kind(connection: Connection) -> None:
    unnamed = """
        select conname::text
        from pg_constraint
        join pg_class on pg_class.oid = conrelid
        where connamespace = 'core'::regnamespace and not relispartition and contype in ('p', 'u', 'f', 'c', 'x')
            and conname !~ ('^' || relname || '_.*' || case contype
                when 'p' then 'pkey' when 'u' then 'key' when 'f' then 'fkey' when 'c' then 'check' else 'excl'
            end || '$')
    """
    assert names(connection, unnamed) == set()


def test_every_jsonb_column_is_validated(connection: Connection) -> None:
    unchecked = """
        select relname || '.' || attname
        from pg_attribute
        join pg_class on pg_class.oid = attrelid
        where relnamespace = 'core'::regnamespace and relkind in ('r', 'p') and not relispartition
            and atttypid = 'jsonb'::regtype and not attisdropped
            and not exists (
                select from pg_constraint where conrelid = attrelid and contype = 'c' and attnum = any (conkey)
            )
    """
    assert names(connection, unchecked) == set()


def test_every_mutable_table_keeps_updated_at(connection: Connection) -> None:
    kept = names(
        connection,
        "select relname::text from pg_trigger join pg_class on pg_class.oid = tgrelid"
        " where tgfoid = 'core.update_updated_at()'::regprocedure",
    )
    assert kept == OLTP_TABLES - {"audit_logs"} | FINANCE_TABLES | {"price_agreements", "source_identities"}


def test_functions_are_documented_and_pin_their_search_path(connection: Connection) -> None:
    careless = """
        select oid::regprocedure::text
        from pg_proc
        where pronamespace in ('core'::regnamespace, 'internal'::regnamespace) and prokind = 'f'
            and (
                obj_description(oid) is null
                or not exists (select from unnest(proconfig) as setting where setting like 'search_path=pg_catalog%')
            )
    """
    # asked for every field of every ingested row: it qualifies each name instead, which is three times as fast
    assert names(connection, careless) == {"internal.input_is_valid(text,text)"}


def test_security_definer_functions_are_not_for_everybody(connection: Connection) -> None:
    open_to_all = """
        select oid::regprocedure::text
        from pg_proc
        where pronamespace in ('core'::regnamespace, 'internal'::regnamespace) and prosecdef
            and has_function_privilege('public', oid, 'execute')
    """
    # asked by a rule and by the rollups for whoever may read them: there's nothing else to get out of them
    assert names(connection, open_to_all) == {"internal.function_answers()", "internal.rollup_watermark(text)"}


def test_triggers_of_core_tables_are_documented_and_those_of_the_trail_always_fire(connection: Connection) -> None:
    undocumented = """
        select tgname::text
        from pg_trigger
        join pg_class on pg_class.oid = tgrelid
        where relnamespace = 'core'::regnamespace and not relispartition and not tgisinternal
            and obj_description(pg_trigger.oid) is null
            and tgname not in ('ts_insert_blocker', 'ts_cagg_invalidation_trigger')  -- TimescaleDB's own
    """
    assert names(connection, undocumented) == set()
    always = names(
        connection,
        "select tgname::text from pg_trigger where tgrelid = 'core.audit_logs'::regclass and tgenabled = 'A'",
    )
    assert always == {"audit_logs_checksum", "audit_logs_append_only", "audit_logs_append_only_row"}
