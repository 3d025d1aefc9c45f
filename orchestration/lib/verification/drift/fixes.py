"""The SQL or the command that removes a difference between a database and what the project would build."""

import re

from orchestration.lib.verification.drift.catalog import Catalog, Difference

BUILD = "Run `governance build`."
REAPPLY = "Run `governance build --reapply`."
# what a build puts back where its DDL is sent again, in whichever way it differs
_REAPPLIED = {"function", "procedure", "trigger", "job", "hypertable", "compression", "database setting"}


def fix_of(difference: Difference, expected: Catalog, found: Catalog) -> str:
    """A sentence with the command or the SQL that removes it; one that deletes rows says so."""
    if difference.found is None:
        return _fix_of_missing(difference, expected)
    if difference.expected is None:
        return _fix_of_extra(difference, found)
    return _fix_of_change(difference, expected, found)


def _fix_of_missing(difference: Difference, expected: Catalog) -> str:
    wanted = expected.objects.get((difference.kind, difference.name))
    name, _, table = difference.name.partition(" on ")
    match difference.kind:
        case "column" if wanted is not None:
            return _run(_add_column(difference.name, wanted.part_of or "", dict(wanted.properties)))
        case "constraint":
            fix = _run(f"alter table {table} add constraint {name} {difference.expected}")
            return f"{fix} {REAPPLY}" if wanted is not None and "comment" in wanted.properties else fix
        case "grant":
            return _run(*_grants(difference.name, _privileges(difference.expected), set(), expected.owner))
        case "extension":
            return _run(f"create extension {name} schema public")
        case "view" | "continuous aggregate":
            return BUILD
        case "table":
            return f"{REAPPLY} What was in it is in the backup."
        case _:
            return REAPPLY


def _fix_of_extra(difference: Difference, found: Catalog) -> str:
    name, _, table = difference.name.partition(" on ")
    schema = table.partition(".")[0]
    accept = "or accept it in seeds/verification_exceptions.csv"
    match difference.kind:
        case "table" | "foreign table" | "sequence" | "materialized view" | "continuous aggregate":
            return (
                f"Move it to a schema of your own (`alter {_in_ddl(difference.kind)} {name} set schema …`), {accept}."
            )
        case "column":
            relation, _, column = name.rpartition(".")
            return f"Run `alter table {relation} drop column {column}`, which deletes its values, {accept}."
        case "constraint":
            return f"Run `alter table {table} drop constraint {name}`, {accept}."
        case "index":
            return f"Run `drop index {schema}.{name}`, {accept}."
        case "trigger" | "rule":
            return f"Run `drop {difference.kind} {name} on {table}`, {accept}."
        case "row policy":
            return f"Run `drop policy {name} on {table}`, {accept}."
        case "grant":
            revoke = "; ".join(_grants(name, set(), _privileges(difference.found), found.owner))
            return f"Run `{revoke}`, {accept}."
        case "job":
            if name.startswith("policy_"):
                return f"Run `select public.delete_job({_job_of(difference.name)})`, {accept}."
            return f"Run `select public.delete_job(…)` with its id of timescaledb_information.jobs, {accept}."
        case "function" | "procedure" | "view" | "type" | "statistics" | "schema":
            return f"Run `drop {difference.kind} {difference.name}`, {accept}."
        case _:
            return f"Drop it, {accept}."


def _fix_of_change(difference: Difference, expected: Catalog, found: Catalog) -> str:
    kind, name, aspect = difference.kind, difference.name, difference.aspect
    wanted = "" if difference.expected == "nothing" else difference.expected or ""
    part, _, table = name.partition(" on ")
    match kind, aspect:
        case "grant", _:
            had, has = _privileges(difference.expected), _privileges(difference.found)
            return _run(*_grants(name, had - has, has - had, expected.owner))
        case (("column" | "table" | "view" | "continuous aggregate"), "comment"):
            return BUILD
        case _, "comment":
            return REAPPLY
        case _, "owner" if kind != "job":
            return _run(f"alter {_in_ddl(kind)} {name} owner to {found.owner if wanted == 'the owner' else wanted}")
        case "column", _:
            return _fix_of_column(difference, expected, wanted)
        case "constraint", "validation":
            return _run(f"alter table {table} validate constraint {part}")
        case "constraint", "enforcement":
            return _fix_of_enforcement(difference, expected)
        case "constraint", "definition":
            definition = expected.objects[kind, name].properties["definition"]
            return _run(f"alter table {table} drop constraint {part}, add constraint {part} {definition}")
        case "index", "definition":
            return _run(f"drop index {table.partition('.')[0]}.{part}") + f" {REAPPLY}"
        case (("index" | "constraint"), _):
            return _run(f"reindex index concurrently {table.partition('.')[0]}.{part}")
        case "trigger", "state":
            state = {"enabled": "enable", "enabled always": "enable always", "enabled on replicas": "enable replica"}
            return _run(f"alter table {table} {state.get(wanted, 'disable')} trigger {part}")
        case (("view" | "continuous aggregate"), "options"):
            return _run(f"alter view {name} reset ({_option_names(difference.found)})")
        case "table", "options":
            return _run(f"alter table {name} reset ({_option_names(difference.found)})")
        case "view", "definition":
            return BUILD
        case "continuous aggregate", "materialized_only":
            return _run(f"alter materialized view {name} set (timescaledb.materialized_only = {wanted})")
        case "continuous aggregate", _:
            return "Run `governance rebuild-rollups`."
        case "table", "persistence":
            return _run(f"alter table {name} set {wanted}")
        case "table", "row security":
            return _run(
                f"alter table {name} {'enable' if wanted.startswith('on') else 'disable'} row level security, "
                f"{'force' if wanted.endswith(('owner', 'forced')) else 'no force'} row level security"
            )
        case "job", ("state" | "schedule" | "retries" | "retry period" | "longest run"):
            parameter = {
                "state": f"scheduled => {'true' if wanted == 'scheduled' else 'false'}",
                "schedule": f"schedule_interval => interval '{wanted}'",
                "retries": f"max_retries => {wanted}",
                "retry period": f"retry_period => interval '{wanted}'",
                "longest run": f"max_runtime => interval '{wanted}'",
            }[aspect]
            return _run(f"select public.alter_job({_job_of(name)}, {parameter})")
        case "job", "owner":
            # nobody can give a job away, but a build makes what is missing as its own
            return _run(f"select public.delete_job({_job_of(name)})") + f" {REAPPLY}"
        case "extension", "version":
            return _run(f"alter extension {name} update")
        case (("function" | "procedure"), ("result" | "arguments")):
            return _run(f"drop {kind} {name}") + f" {REAPPLY}"
        case _ if kind in _REAPPLIED:
            return REAPPLY
        case _:
            return "Change it back by hand: docs/rules/drift.md."


def _fix_of_enforcement(difference: Difference, expected: Catalog) -> str:
    """Switches on every trigger of the tables, for those of a constraint have no name of their own."""
    tables = re.findall(r"its triggers on (\S+) ", difference.found or "")
    statements = "; ".join(
        f"alter table {table} " + ", ".join(["enable trigger all", *_always(table, expected)]) for table in tables
    )
    return f"As a superuser run `{statements}`, then look at what was written meanwhile."


def _always(table: str, expected: Catalog) -> list[str]:
    """What `enable trigger all` makes triggers of ordinary sessions and isn't meant to be one."""
    return [
        f"enable always trigger {name.removesuffix(f' on {table}')}"
        for (kind, name), trigger in sorted(expected.objects.items())
        if kind == "trigger" and trigger.part_of == table and trigger.properties["state"] == "enabled always"
    ]


def _fix_of_column(difference: Difference, expected: Catalog, wanted: str) -> str:
    column = expected.objects["column", difference.name]
    table, _, name = difference.name.rpartition(".")
    if ("view", table) in expected.objects or ("continuous aggregate", table) in expected.objects:
        return BUILD
    match difference.aspect:
        case "type" | "collation":
            kind = column.properties["type"]
            collation = f" collate {column.properties['collation']}" if "collation" in column.properties else ""
            return _run(f"alter table {table} alter column {name} type {kind}{collation} using {name}::{kind}")
        case "nullability":
            return _run(f"alter table {table} alter column {name} {'set' if wanted == 'not null' else 'drop'} not null")
        case "default":
            return _run(
                f"alter table {table} alter column {name} {f'set default {wanted}' if wanted else 'drop default'}"
            )
        case _:
            return "Change it back by hand: docs/rules/drift.md."


def _add_column(column: str, table: str, properties: dict[str, str]) -> str:
    parts = [f"alter table {table} add column {column.rpartition('.')[2]} {properties['type']}"]
    if "collation" in properties:
        parts.append(f"collate {properties['collation']}")
    if "default" in properties:
        parts.append(f"default {properties['default']}")
    if "generation" in properties:
        parts.append(f"generated always as ({properties['generation']}) stored")
    if "identity" in properties:
        parts.append(f"generated {properties['identity']} as identity")
    if properties.get("nullability") == "not null":
        parts.append("not null")
    return " ".join(parts)


def _privileges(text: str | None) -> set[str]:
    # the columns of a privilege are in brackets
    return set(re.split(r", (?![^(]*\))", text or "")) - {"", "nothing"}


def _grants(name: str, missing: set[str], extra: set[str], owner: str) -> list[str]:
    """Statements for a grant that is called `<object> to <role>`."""
    what, _, role = name.rpartition(" to ")
    role = {"its owner": owner}.get(role, role)
    before = ""
    if default := re.fullmatch(r"new (\w+) of (.+) in (\S+)", what):
        before = f"alter default privileges for role {default[2].replace('the owner', owner)} in schema {default[3]} "
        what = default[1]
    statements = [
        f"{before}revoke {item.removesuffix(' with grant option')} on {what} from {role}" for item in sorted(extra)
    ]
    for item in sorted(missing):
        privilege = item.removesuffix(" with grant option")
        option = " with grant option" if privilege != item else ""
        statements.append(f"{before}grant {privilege} on {what} to {role}{option}")
    return statements


def _job_of(name: str) -> str:
    policy, _, series = name.partition(" on ")
    if policy.startswith("internal."):
        return f"internal.refresh_job('{series.partition('.')[2]}')"
    return f"internal.job_of('{series}', '{policy}')"


def _option_names(options: str | None) -> str:
    return ", ".join(option.partition("=")[0] for option in (options or "").split(", "))


def _in_ddl(kind: str) -> str:
    return {"continuous aggregate": "materialized view"}.get(kind, kind)


def _run(*statements: str) -> str:
    return f"Run `{'; '.join(statements)}`."
