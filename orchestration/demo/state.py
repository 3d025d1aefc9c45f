"""What a database knows of its demo (internal.demo_state), and where the demo won't go."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from orchestration.demo.entities import start_of
from orchestration.lib.database.connection import Connection, connect, has_relation
from orchestration.lib.errors import GovernanceError
from orchestration.lib.identity.accounts import ADMIN_EMAIL
from orchestration.lib.usage.merge import explained


@dataclass(frozen=True)
class DemoState:
    """The demo's parameters, its first local day, and up to when it is loaded; None = the first load hasn't ended."""

    seed: int
    people: int
    days: int
    starts_on: date
    zone: ZoneInfo
    through: datetime | None = None

    @property
    def since(self) -> datetime:
        """Where usage goes on."""
        return self.through or start_of(self.starts_on, self.zone)

    @property
    def since_start(self) -> datetime:
        """First instant of the demo's usage."""
        return start_of(self.starts_on, self.zone)

    @property
    def options(self) -> str:
        """The parameters as they are typed."""
        return f"--seed {self.seed} --people {self.people} --days {self.days}"

    def refuse_others(self, seed: int | None, people: int | None, days: int | None) -> None:
        """Raises GovernanceError if a parameter is given and another than the demo's."""
        asked = zip((seed, people, days), (self.seed, self.people, self.days), strict=True)
        if any(value is not None and value != there for value, there in asked):
            raise GovernanceError(
                f"this database holds the demo of {self.options}: leave the options out to go on with it, or point "
                "GOVERNANCE_DATABASE_URL or GOVERNANCE_HOME at an empty database"
            )


def read_state(connection: Connection) -> DemoState | None:
    """The demo of this database, None where there is none."""
    row = connection.execute(
        "select seed, people, days, starts_on, timezone, loaded_through from internal.demo_state"
    ).fetchone()
    if row is None:
        return None
    seed, people, days, starts_on, timezone, through = row
    return DemoState(int(seed), people, days, starts_on, ZoneInfo(timezone), through and through.astimezone(UTC))


def write_state(connection: Connection, state: DemoState) -> None:
    """Writes the state of a demo that begins."""
    connection.execute(
        "insert into internal.demo_state (seed, people, days, starts_on, timezone) values (%s, %s, %s, %s, %s)",
        [state.seed, state.people, state.days, state.starts_on, state.zone.key],
    )


def refuse_foreign_rows(connection: Connection) -> None:
    """Raises GovernanceError if there are people or usage, which in a database without a demo are the user's own."""
    [(people, usage)] = connection.execute(
        "select (select count(*) from core.users where lower(email) <> %s), exists (select from core.llm_metrics)",
        [ADMIN_EMAIL],
    )
    if people or usage:
        raise GovernanceError(
            "this database already holds people or usage of your own, and the demo doesn't mix with them: point "
            "GOVERNANCE_DATABASE_URL or GOVERNANCE_HOME at an empty database"
        )


def check_demo(url: str, *, seed: int | None = None, people: int | None = None, days: int | None = None) -> None:
    """Refuse what `load_demo` would refuse, before anything is built; a database without a warehouse is fine."""
    with explained(), connect(url) as connection:
        _check(connection, seed, people, days)


def _check(connection: Connection, seed: int | None, people: int | None, days: int | None) -> None:
    if not all(has_relation(connection, name) for name in ("core.audit_logs", "core.users", "core.llm_metrics")):
        return
    if not has_relation(connection, "internal.demo_state"):
        # before there was this table the trail knew of the demo, and the build is about to take it from there
        begun = connection.execute("select from core.audit_logs where action = 'demo.start' limit 1").fetchone()
        if begun is None:
            refuse_foreign_rows(connection)
    elif state := read_state(connection):
        state.refuse_others(seed, people, days)
    else:
        refuse_foreign_rows(connection)
