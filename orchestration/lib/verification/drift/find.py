"""Deep drift: what the project's own code builds against what is there.

The reference is the build itself, into an empty database beside the one in question, dropped right after.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from psycopg import sql

from orchestration.lib.database.connection import Connection, connect, with_database
from orchestration.lib.database.locks import Lock
from orchestration.lib.database.rights import assert_may_create_database
from orchestration.lib.dbt.environment import environment
from orchestration.lib.dbt.runner import run_dbt
from orchestration.lib.errors import GovernanceError, NotBuiltError, explained
from orchestration.lib.evidence.result import Rule, Verification, Violation
from orchestration.lib.settings import dbt_target
from orchestration.lib.verification.drift.catalog import Catalog, Difference, compare_catalogs, fitted, read_catalog
from orchestration.lib.verification.drift.fixes import fix_of

RULE = Rule("deep_drift", "drift", "error")
_NAME = "governance_drift_of_{}"
_LONGEST_NAME = 63  # bytes
# set aside by a change of a rollup, for an operator to drop
_SET_ASIDE = re.compile(r"internal\.\w+_until_\d{14}|rollups\.\w+_history_\d+")
_READERS_MAY = re.compile(r"(select( \(\w+\))?|usage)(, (select( \(\w+\))?|usage))*")
_FOR_READERS = re.compile(r"(schema |new tables of .+ in )?(reporting|verification)\b.* to (?!public$)")
# of the roles of macros/security: verification tries what each may
_OF_ROLES = re.compile(r".+ to governance_(app|auditor|dbt|migrator|owner|reader|sealer)")


@explained()
def find_drift(
    url: str, /, *, reference_url: str | None = None, notify: Callable[[str], None] = lambda message: None
) -> Verification:
    """What differs in the database at `url` from what the project builds, as violations of one rule.

    The reference is built beside it, or is the database at `reference_url`. Raises GovernanceError where it can't be.
    """
    with connect(url) as connection:
        if reference_url is None:
            assert_may_create_database(connection, "that a deep verification builds for comparison")
        try:
            later_versions = _rollups_of_a_later_version(connection)
        except psycopg.errors.InsufficientPrivilege as error:
            raise GovernanceError(
                f"a deep verification needs the owner of the warehouse, and {connection.info.user} may not read all it "
                f"needs ({error.diag.message_primary}); connect as the owner"
            ) from error
        found = read_catalog(connection)
    if reference_url is not None:
        expected = _catalog_of(reference_url)
    else:
        with reference_database(url, notify) as built:
            expected = _catalog_of(built)
    expected = fitted(expected, found)
    differences = [
        difference
        for difference in compare_catalogs(expected, found)
        if not _is_an_operators_own(difference) and not _has_a_history(difference, later_versions)
    ]
    return Verification([RULE], [as_violation(difference, expected, found) for difference in differences])


def as_violation(difference: Difference, expected: Catalog, found: Catalog) -> Violation:
    """A difference as a row of the table of `governance verify`."""
    if difference.aspect == "owner":
        difference = replace(
            difference,
            expected=(difference.expected or "").replace("the owner", found.owner),
            found=(difference.found or "").replace("the owner", found.owner),
        )
    if difference.aspect == "enforcement":
        message = f"It is not enforced as it should be: {difference.found}"
    else:
        words = str(difference).removeprefix(f"{difference.kind} {difference.name}").lstrip(": ")
        message = f"It {words}" if difference.aspect is None else words[:1].upper() + words[1:]
    return Violation(RULE.rule, RULE.severity, difference.subject, f"{message}.", fix_of(difference, expected, found))


@contextmanager
def reference_database(url: str, notify: Callable[[str], None] = lambda message: None) -> Iterator[str]:
    """URL of a database beside the one at `url`, built by the project with the vars of that one; dropped at the end.

    What a killed run left is dropped first.
    """
    with connect(url) as connection:
        variables = _variables(connection)
        name = _name_beside(connection)
        assert_may_create_database(connection, "that a deep verification builds for comparison")
        [(is_alone,)] = connection.execute("select pg_try_advisory_lock(%s)", [Lock.DRIFT_REFERENCE])
        if not is_alone:
            raise GovernanceError(
                f"another deep verification of {connection.info.dbname} is running; wait until it has ended"
            )
        notify(f"building the database {name} to compare with …")
        _drop(connection, name)
        try:
            # template1 may hold what isn't ours
            connection.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
            # dbt's manifest and settings of the database in use stay as they are
            folder = str(dbt_target() / "drift")
            with environment({"DBT_TARGET_PATH": folder, "DBT_LOG_PATH": folder}):
                run_dbt(
                    ["build", "--resource-type", "model", "seed", "--vars", json.dumps(variables)],
                    with_database(url, name),
                    quiet=True,
                    notify=notify,
                )
            yield with_database(url, name)
        finally:
            _drop(connection, name)


def _name_beside(connection: Connection) -> str:
    """The reference's name; a long one ends in the number of the database, for two may begin alike."""
    name = _NAME.format(connection.info.dbname)
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    [(number,)] = connection.execute("select '_' || oid from pg_database where datname = current_database()")
    return f"{name.encode()[: _LONGEST_NAME - len(number)].decode(errors='ignore').rstrip()}{number}"


def _catalog_of(url: str) -> Catalog:
    with connect(url) as connection:
        return read_catalog(connection)


def _rollups_of_a_later_version(connection: Connection) -> set[str]:
    """Views whose text depends on what was stored by older definitions; each build compares and replaces it."""
    try:
        rows = connection.execute("select 'rollups.' || name from internal.rollup_state where version > 1").fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedColumn):
        # itself drift
        return set()
    return {str(row[0]) for row in rows}


def _has_a_history(difference: Difference, rollups: set[str]) -> bool:
    if difference.kind == "view":
        return difference.name in rollups and difference.aspect == "definition"
    # a column that the model no longer has, kept for its old buckets
    return difference.kind == "column" and difference.expected is None and difference.name.rpartition(".")[0] in rollups


def _is_an_operators_own(difference: Difference) -> bool:
    """What an operator may add without asking: docs/rules/drift.md lists it."""
    if difference.aspect == "owner" and difference.found == "governance_dbt":
        # what the runtime refreshes
        return difference.name.startswith("rollups.")
    if difference.expected is not None:
        return False
    if difference.kind in ("extension", "database setting") or _SET_ASIDE.fullmatch(difference.name):
        return True
    if difference.kind != "grant":
        return False
    if _OF_ROLES.fullmatch(difference.name):
        return True
    return bool(_FOR_READERS.match(difference.name) and _READERS_MAY.fullmatch(difference.found or ""))


def _variables(connection: Connection) -> dict[str, str]:
    """The vars with which the database was built."""
    try:
        rows = connection.execute("select name, value from internal.settings").fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise NotBuiltError(
            f"the database {connection.info.dbname} holds no warehouse yet; run `governance build` first"
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise GovernanceError(
            f"a deep verification needs the owner of the warehouse, and {connection.info.user} may not even read "
            "internal.settings; connect as the owner"
        ) from error
    # the refresh of an empty database has nobody to wait for
    return dict(rows) | {"refresh_patience": "0 seconds"}


def _drop(connection: Connection, name: str) -> None:
    # by force: a background worker of TimescaleDB may be at work in it
    connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
