"""An import from its files to the database: read, compare, check, carry out in one transaction."""

from collections.abc import Collection, Mapping, Sequence
from uuid import uuid4

import psycopg

from orchestration.lib.database.connection import Connection
from orchestration.lib.errors import GovernanceError
from orchestration.lib.organisation.apply import carry_out
from orchestration.lib.organisation.files import File
from orchestration.lib.organisation.known import read_known
from orchestration.lib.organisation.plan import Options, Plan
from orchestration.lib.organisation.planner import make_plan
from orchestration.lib.organisation.scim import Directory
from orchestration.lib.organisation.stated import Place, Problems, Stated
from orchestration.lib.organisation.tables import read_table

# of the texts that people see: how long they may be, and whether they may have lines
_TEXTS = {
    ("people", "display_name"): (200, False),
    ("teams", "name"): (200, False),
    ("teams", "description"): (2000, True),
    ("teams", "cost_center"): (100, False),
    ("keys", "name"): (200, False),
}
_FAULTS = """
    select number, coalesce(
        case when field = 'email' then internal.email_fault(field, value)
            else internal.text_fault(field, value, longest, takes_lines) end,
        case when not takes_lines then internal.script_fault(field, value) end
    )
    from unnest(%s::integer[], %s::text[], %s::text[], %s::integer[], %s::boolean[])
        as said (number, field, value, longest, takes_lines)
"""
_LOOKALIKES = """
    with said as (select * from unnest(%s::integer[], %s::text[]) as said (number, email)),
    others as (
        select email from core.users where status <> 'deactivated'
        union
        select email from said
    )
    select said.number, min(others.email)
    from said
    join others on internal.look_of(others.email) = internal.look_of(said.email)
    where lower(others.email) <> lower(said.email)
    group by said.number
    order by said.number
"""
# one import at a time, and nobody takes the last administrator away meanwhile
_ALONE = """
    lock table core.users, core.teams, core.team_members, core.user_roles, core.api_keys
    in share row exclusive mode
"""
_PATIENCE = "10s"


def read_files(
    paths: Sequence[str],
    *,
    kinds: Mapping[str, str] | None = None,
    ignored: Collection[str] = (),
    groups: Sequence[str] = (),
) -> Stated:
    """What the files at `paths` state; - is standard input.

    `kinds` has the kind of those whose header doesn't tell it, `ignored` are columns of CSV files that are left aside,
    `groups` patterns of the groups of a directory that are teams. Raises GovernanceError with all that is wrong.
    """
    stated, problems = Stated(), Problems()
    directory = Directory(stated, problems, groups)
    files = [File.read(path) for path in paths]
    for path, file in zip(paths, files, strict=True):
        if [each.name for each in files].count(file.name) > 1:
            raise GovernanceError(
                f"there are two files {file.name}: name them differently, so that messages tell which"
            )
        if file.is_json:
            for place, resource in file.resources(problems):
                directory.add(place, resource)
        else:
            read_table(file.table(), (kinds or {}).get(path), ignored, stated, problems)
    directory.finish()
    problems.refuse()
    if not stated.kinds:
        raise GovernanceError("the files have no people, teams or keys; give at least one that has")
    return stated


def compare(connection: Connection, stated: Stated, options: Options) -> Plan:
    """What an import would do, all of it checked; writes nothing. Raises GovernanceError with all that is wrong."""
    plan = make_plan(stated, read_known(connection), options)
    _check_texts(connection, plan)
    return plan


def carry_out_import(connection: Connection, stated: Stated, shown: Plan, files: Sequence[str]) -> str:
    """Does in one transaction what was shown; returns the request_id that its entries in the audit trail have.

    Raises GovernanceError, and nothing is changed, if the organisation isn't what it was when `shown` was made.
    """
    request = f"organisation-import-{uuid4()}"
    with connection.transaction():
        for name, value in {
            "lock_timeout": _PATIENCE,
            "governance.actor_type": "service",
            "governance.actor_label": f"organisation import of {', '.join(files)}"[:500],
            "governance.request_id": request,
        }.items():
            connection.execute("select set_config(%s, %s, true)", [name, value])
        connection.execute(_ALONE)
        known = read_known(connection)
        plan = make_plan(stated, known, shown.options)
        if plan.acts != shown.acts:
            raise GovernanceError(
                "the organisation was changed by somebody else since the differences were shown, and nothing was "
                "imported: run the same command again and look at them anew"
            )
        try:
            carry_out(connection, plan, known)
        except psycopg.IntegrityError as error:
            said = (error.diag.message_primary or str(error)).splitlines()[0]
            raise GovernanceError(f"the database refused the import, nothing was changed: {said}") from error
    return request


def _check_texts(connection: Connection, plan: Plan) -> None:
    """Has the database judge the texts that would be written, and notes new addresses that look like others."""
    said = [
        (act.place, change.field, change.after, *_TEXTS.get((act.kind, change.field), (254, False)))
        for act in plan.acts
        for change in act.changes
        if isinstance(change.after, str) and ((act.kind, change.field) in _TEXTS or change.field == "email")
    ]
    places: list[Place | None] = [each[0] for each in said]
    numbers = list(range(len(said)))
    columns = [[each[place] for each in said] for place in range(1, 5)]
    problems = Problems()
    for number, fault in connection.execute(_FAULTS, [numbers, *columns]):
        if fault is not None:
            problems.add(places[number] or "files", fault)
    problems.refuse()
    new = [number for number in numbers if said[number][1] == "email"]
    addresses = [said[number][2] for number in new]
    for number, other in connection.execute(_LOOKALIKES, [new, addresses]):
        plan.notes.append(f"{places[number]}: {said[number][2]} looks like {other}; see that it is somebody else's")
