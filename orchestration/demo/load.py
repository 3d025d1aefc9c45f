"""Puts the demo organisation and its usage into a database, and later the days that have passed since.

What was loaded is in internal.demo_state. The organisation and its row there are one transaction. Usage goes through
ingestion, which loads nothing twice, so a load that breaks off is simply run again. The rest of the period and how far
it reaches are one transaction at the end.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import LiteralString
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from psycopg import sql
from psycopg.types.json import JsonbDumper

from orchestration.demo.activity import Sample, events_of_day, samples_of_day, sessions_of_day
from orchestration.demo.alerts import Alert, BudgetWatch, alerts_of_day, answer_to, budgets, period_start
from orchestration.demo.entities import Organisation, start_of
from orchestration.demo.files import SOURCES, write_exports
from orchestration.demo.organisation import build_organisation
from orchestration.demo.rows import Row, Seeded, alert_rows, organisation_rows, session_rows
from orchestration.demo.state import DemoState, read_state, refuse_foreign_rows, write_state
from orchestration.demo.usage import SOURCE, Request, requests_of_day
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.database.locks import Lock
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.load import ingest_files, ingest_rows
from orchestration.lib.usage.merge import explained

DEFAULT_SEED, DEFAULT_PEOPLE, DEFAULT_DAYS = 1, 200, 90
ROOT_TEAM = "organization"
# sessions that ended longer ago have been cleared away
_KEPT_SESSIONS = timedelta(days=7)


@dataclass(frozen=True)
class DemoLoad:
    """What a load did: usage of [since, through) was added, `requests` rows of it; nothing if `is_new_day` is false.

    From `grows_from` on, the next day of the reporting zone, another one adds what has happened since.
    """

    state: DemoState
    since: datetime
    through: datetime
    requests: int
    is_new_day: bool

    @property
    def grows_from(self) -> datetime:
        """First instant of the next day, in the reporting zone."""
        next_day = _day(self.through, self.state.zone) + timedelta(days=1)
        return datetime.combine(next_day, datetime.min.time(), self.state.zone)


def load_demo(
    url: str,
    *,
    seed: int | None = None,
    people: int | None = None,
    days: int | None = None,
    now: datetime | None = None,
    folder: Path,
    notify: Callable[[str], None] = lambda message: None,
) -> DemoLoad:
    """Load the demo into the built database at `url`, or the days that have passed since it was last loaded.

    Part of the usage comes as files, which are written to `folder` first.

    Parameters left out are those of the demo that is there, else the defaults (seed 1, 200 people, 90 days). Usage
    ends at `now`, by default the server's clock; on the local day of the last load nothing at all is written. Raises
    GovernanceError if the database holds a demo with other parameters or people and usage that are not the demo's.
    """
    with explained(), connect(url) as connection, _alone(connection):
        connection.adapters.register_dumper(dict, JsonbDumper)
        now = _moment(connection, now)
        state = read_state(connection)
        if state is None:
            refuse_foreign_rows(connection)
            state = _start(
                connection,
                now,
                DEFAULT_SEED if seed is None else seed,
                DEFAULT_PEOPLE if people is None else people,
                DEFAULT_DAYS if days is None else days,
            )
        state.refuse_others(seed, people, days)
        since = max(state.since, _raw_floor(connection))
        if state.through is not None and _day(now, state.zone) <= _day(state.through, state.zone):
            return DemoLoad(state, since, state.through, requests=0, is_new_day=False)
        organisation = build_organisation(state.seed, state.people, state.days, state.starts_on, state.zone)
        requests = _load_period(connection, organisation, since, now, folder, notify)
        return DemoLoad(state, since, now, requests, is_new_day=True)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    [(is_alone,)] = connection.execute("select pg_try_advisory_lock(%s)", [Lock.DEMO])
    if not is_alone:
        raise GovernanceError("another demo is being loaded into this database: wait until it has ended")
    yield
    # after an error it's released with the connection, which may end a moment later
    connection.execute("select pg_advisory_unlock(%s)", [Lock.DEMO])


def _moment(connection: Connection, now: datetime | None) -> datetime:
    [(clock,)] = connection.execute("select clock_timestamp()")
    if now is not None and now > clock:
        raise GovernanceError(f"the demo can't be loaded up to {now:%Y-%m-%d %H:%M %Z}, which is in the future")
    moment: datetime = clock if now is None else now
    return moment.astimezone(UTC)


def _start(connection: Connection, now: datetime, seed: int, people: int, days: int) -> DemoState:
    """Writes the organisation and the state that says so, in one transaction."""
    [(zone_name,)] = connection.execute("select value from internal.settings where name = 'reporting_timezone'")
    try:
        zone = ZoneInfo(zone_name)
    except ZoneInfoNotFoundError as error:
        raise GovernanceError(
            f"Python doesn't know the time zone {zone_name}, which is the reporting_timezone of this warehouse: "
            "write it as in the IANA list, such as Europe/Berlin"
        ) from error
    state = DemoState(seed, people, days, _day(now, zone) - timedelta(days=days - 1), zone)
    floor = _raw_floor(connection)
    if start_of(state.starts_on, zone) < floor:
        raise GovernanceError(
            f"{days} days reach further back than raw usage is kept (since {floor:%Y-%m-%d}): choose fewer --days"
        )
    organisation = build_organisation(seed, people, days, state.starts_on, zone)
    with connection.transaction():
        _act_as_demo(connection)
        for table, rows in organisation_rows(organisation, _seeded(connection), now):
            _insert(connection, table, rows)
        write_state(connection, state)
    return state


def _raw_floor(connection: Connection) -> datetime:
    floor: datetime
    [(floor,)] = connection.execute("select internal.raw_floor('llm_metrics')")
    return floor


def _load_period(
    connection: Connection,
    organisation: Organisation,
    since: datetime,
    now: datetime,
    folder: Path,
    notify: Callable[[str], None],
) -> int:
    """Loads what happened in [since, now); returns the number of requests."""
    first, last = _day(since, organisation.zone), _day(now, organisation.zone)
    days = [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
    period = _Period(organisation, since, now, _watch(connection, organisation, first))
    report = ingest_rows(
        connection,
        Request._fields,
        period.rows(days),
        source=SOURCE,
        progress=lambda progress: notify(f"{progress.report.read:,} requests"),
    )
    reports = [report]
    for export in write_exports(folder, period.exported, now):
        given = [str(export.path)], export.mapping, export.constants
        reports.append(ingest_files("", *given, source=export.source, connection=connection))
    if refused := sum(each.quarantined for each in reports):
        reasons = ", ".join(reason for each in reports for reason in each.reasons)
        raise GovernanceError(f"{refused} requests of the demo were refused ({reasons}): please report this")
    with connection.transaction():
        _act_as_demo(connection)
        _write_activity(connection, organisation, period, days)
        connection.execute("update internal.demo_state set loaded_through = %s", [now])
    return sum(each.read for each in reports)


class _Period:
    """The usage of [since, now) as ingestion takes it; what it says of alerts and keys is collected on the way.

    So is, by source, what comes by files.
    """

    def __init__(self, organisation: Organisation, since: datetime, now: datetime, watch: BudgetWatch) -> None:
        self.organisation, self.since, self.now = organisation, since, now
        self.alerts: list[Alert] = []
        self.keys_used: dict[UUID, datetime] = {}
        self.exported: dict[str, list[Request]] = defaultdict(list)
        self._watch = watch

    def contains(self, time: datetime) -> bool:
        return self.since <= time < self.now

    def rows(self, days: Sequence[date]) -> Iterator[list[str | None]]:
        for day in days:
            requests = requests_of_day(self.organisation, day)
            alerts = alerts_of_day(self.organisation, day, requests, self._watch)
            self.alerts.extend(alert for alert in alerts if self.contains(alert.created_at))
            for request in requests:
                if not self.contains(request.time):
                    continue
                if request.api_key_id is not None:
                    self.keys_used[request.api_key_id] = request.time
                if request.source != SOURCE:
                    self.exported[request.source].append(request)
                    continue
                # ingestion takes texts in half the time
                yield [value if value is None or type(value) is str else _text(value) for value in request]


def _text(value: object) -> str:
    return _json(tuple(value.items())) if isinstance(value, dict) else str(value)


@lru_cache(maxsize=4096)
def _json(items: tuple[tuple[str, object], ...]) -> str:
    """An object as text: few different ones, each written often."""
    return json.dumps(dict(items))


def _watch(connection: Connection, organisation: Organisation, first: date) -> BudgetWatch:
    """A budget watch that knows what was spent before the local day `first` in the periods that it lies in."""
    watch = BudgetWatch(organisation, budgets(organisation))
    zone, start = organisation.zone.key, organisation.start_of(period_start(first, "year"))
    rows = connection.execute(
        "select (time at time zone %s)::date as day, team_id, currency, sum(cost_amount)"
        " from core.llm_metrics"
        " where time >= %s and time < %s and source = any (%s) and cost_amount is not null"
        " group by day, team_id, currency order by day, team_id, currency",
        [zone, start, organisation.start_of(first), [SOURCE, *SOURCES]],
    )
    for day, team_id, currency, cost in rows:
        for _ in watch.add(day, team_id, currency, cost):
            pass  # said when it happened
    return watch


def _write_activity(connection: Connection, organisation: Organisation, period: _Period, days: list[date]) -> None:
    """Sign-ins, alerts, audited events and samples of the period, and when people and keys were last seen."""
    now = period.now
    # also of the days before: a session that was open at the last load has gone on since
    earlier = [days[0] - timedelta(days=offset) for offset in range(8, 0, -1)]
    sessions = [
        session
        for day in [*earlier, *days]
        if day >= organisation.start
        for session in sessions_of_day(organisation, day)
        if session.created_at < now
    ]
    kept = [session for session in sessions if session.expires_at > now - _KEPT_SESSIONS]
    _insert(
        connection,
        "sessions",
        session_rows(organisation, kept, now),
        "on conflict (id) do update set last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at),"
        " revoked_at = coalesce(s.revoked_at, excluded.revoked_at),"
        " revoked_reason = coalesce(s.revoked_reason, excluded.revoked_reason)",
    )
    last_logins = {session.user_id: session.created_at for session in sessions}
    _seen(connection, "update core.users set last_login_at = greatest(last_login_at, %s) where id = %s", last_logins)
    _seen(
        connection, "update core.api_keys set last_used_at = greatest(last_used_at, %s) where id = %s", period.keys_used
    )
    _answer_alerts(connection, organisation, now)
    _insert(connection, "alerts", alert_rows(organisation, period.alerts, now))
    events = [event for day in days for event in events_of_day(organisation, day) if period.contains(event.occurred_at)]
    _insert(connection, "audit_logs", [event._asdict() for event in events])
    samples = [sample for day in days for sample in samples_of_day(organisation, day) if period.contains(sample.time)]
    connection.execute("select internal.ensure_partitions('core.system_metrics', %s, %s)", [period.since, now])
    _copy(connection, "system_metrics", Sample._fields, samples)


def _seen(connection: Connection, statement: LiteralString, times: dict[UUID, datetime]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(statement, [(time, row_id) for row_id, time in times.items()])


def _answer_alerts(connection: Connection, organisation: Organisation, now: datetime) -> None:
    """What has been done meanwhile about the demo's alerts, unless somebody has really done something about them."""
    rows = connection.execute(
        "select id, severity, created_at, status, acknowledged_at from core.alerts"
        " where status in ('open', 'acknowledged') and details @> '{\"source\": \"demo\"}' order by created_at, id"
    ).fetchall()
    for alert_id, severity, created_at, status, acknowledged_at in rows:
        answer = answer_to(organisation, alert_id, severity, created_at, now)
        if answer.status != status and acknowledged_at in (None, answer.acknowledged_at):
            connection.execute(
                "update core.alerts set status = %s, acknowledged_at = %s, acknowledged_by = %s, resolved_at = %s,"
                " resolved_by = %s where id = %s",
                [*answer, alert_id],
            )


def _insert(
    connection: Connection, table: str, rows: Sequence[Row], on_conflict: LiteralString = "on conflict do nothing"
) -> None:
    """Inserts rows that all have the same columns."""
    if not rows:
        return
    columns = list(rows[0])
    statement = sql.SQL("insert into core.{} as s ({}) values ({}) {}").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(map(sql.Placeholder, columns)),
        sql.SQL(on_conflict),
    )
    with connection.cursor() as cursor:
        cursor.executemany(statement, rows)


def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    statement = sql.SQL("copy core.{} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _seeded(connection: Connection) -> Seeded:
    [(root,)] = connection.execute("select (select id from core.teams where slug = %s)", [ROOT_TEAM])
    if root is None:
        raise GovernanceError(f"there is no team {ROOT_TEAM} to put the demo below: run `governance build` first")
    return Seeded(
        roles=dict(connection.execute("select slug, id from core.roles").fetchall()),
        policies=dict(connection.execute("select slug, id from core.policies where is_active").fetchall()),
        root_team=root,
    )


def _act_as_demo(connection: Connection) -> None:
    connection.execute("set local governance.actor_type = 'service'")
    connection.execute("set local governance.actor_label = 'demo'")


def _day(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()
