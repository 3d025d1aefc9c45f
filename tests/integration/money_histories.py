"""Random histories of money in a reporting zone, played in a warehouse and in the oracle."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count, pairwise
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from closing_rows import empty
from core_rows import add, value
from hypothesis import strategies as st
from money_oracle import MoneyOracle, Row
from price_rows import add_price
from rollup_histories import start_over

from orchestration.lib.database.connection import Connection
from orchestration.lib.pricing.closing import close
from orchestration.lib.pricing.reprice import Scope, begin, proceed
from orchestration.lib.usage.ledger import undo
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.warehouse.refresh import refresh
from orchestration.lib.warehouse.retention import retain

NOW = datetime.now(UTC)
MODELS = ("rocket", "plane", "ghost")
USERS, TEAMS = ("ann", "bob"), ("one", "two", "three")
MONEY = st.decimals(0, 10**4, places=9)
STEPS = (
    "load",
    "load",
    "load",
    "replace",
    "undo",
    "price",
    "reprice",
    "move",
    "hang",
    "close",
    "credit",
    "refresh",
    "retain",
)


def starts(zone: ZoneInfo) -> list[datetime]:
    """Times at which something begins or ends in the zone: months, today, a month ago, changes of clocks."""
    today = NOW.astimezone(zone).date()
    days = {today, today - timedelta(days=6), today - timedelta(days=29)}
    month = today
    for _ in range(4):
        month = month.replace(day=1)
        days.add(month)
        month -= timedelta(days=1)
    found = {datetime.combine(day, datetime.min.time(), zone).astimezone(UTC) for day in days}
    first = min(found)
    quarters = (first + timedelta(minutes=15 * step) for step in range(int((NOW - first) / timedelta(minutes=15))))
    offsets = [(at, at.astimezone(zone).utcoffset()) for at in quarters]
    changes = {at for (_, before), (at, after) in pairwise(offsets) if before != after}
    found |= changes | {at - timedelta(hours=1) for at in changes} | {at + timedelta(hours=1) for at in changes}
    return sorted(at for at in found if at < NOW)


def requests(zone: ZoneInfo) -> st.SearchStrategy[Row]:
    near = st.builds(
        lambda at, by: min(at + timedelta(microseconds=by), NOW),
        st.sampled_from(starts(zone)),
        st.sampled_from([-1, 0, 0, 1, -1_800_000_000, 1_799_999_999]),
    )
    oldest = starts(zone)[0]
    anywhere = st.integers(0, int((NOW - oldest).total_seconds())).map(lambda by: oldest + timedelta(seconds=by))
    return st.fixed_dictionaries({
        "time": near | anywhere,
        "user": st.sampled_from(USERS),
        "model": st.sampled_from(MODELS),
        "tokens": st.integers(1, 10**7),
        "said": st.none() | MONEY,
        "said_currency": st.sampled_from(["USD", "EUR"]),
        "status": st.sampled_from(["success", "success", "error"]),
    })  # fmt: skip


class History:
    """A warehouse and what the oracle knows of it."""

    def __init__(self, url: str, zone: ZoneInfo, connection: Connection, folder: Path) -> None:
        self.url, self.zone, self.connection, self.folder = url, zone, connection, folder
        self.oracle = MoneyOracle(zone)
        self.numbers = count()
        # of each load that can be taken back what was before it, None for nothing
        self.loads: list[dict[str, Row | None]] = []
        self.log: list[str] = []
        self.start_over()

    def start_over(self) -> None:
        c = self.connection
        start_over(c)
        empty(c)
        c.execute("set governance.managing_rows = 'on'")
        c.execute("delete from core.budget_crossings")
        c.execute(
            "delete from core.team_members where team_id in (select id from core.teams where slug = any(%s))",
            [list(TEAMS)],
        )
        c.execute("set governance.managing_rows = ''")
        for name in USERS:
            c.execute(
                "insert into core.users (email, display_name) values (%s, %s) on conflict do nothing",
                [f"{name}@m.example", name],
            )
        for slug in TEAMS:
            c.execute(
                "insert into core.teams (slug, name, currency, budget_period, budget_amount)"
                " select %s, %s, 'USD', 'month', 100 where not exists (select from core.teams where slug = %s)",
                [slug, slug, slug],
            )
        self.team_ids: dict[str, UUID] = dict(
            c.execute("select slug, id from core.teams where slug = any(%s)", [list(TEAMS)]).fetchall()
        )
        self.user_ids = {
            name: value(c, "select id from core.users where email = %s", f"{name}@m.example") for name in USERS
        }
        for slug in TEAMS:
            self.hang(slug, None)
        long_ago = NOW - timedelta(days=900)
        for name, slug in zip(USERS, TEAMS, strict=False):
            self.join(name, slug, long_ago)
        self.add_price("rocket", Decimal("2.5"), long_ago)
        refresh(self.url)

    def join(self, user: str, slug: str, since: datetime) -> None:
        person, team = self.user_ids[user], self.team_ids[slug]
        self.connection.execute(
            "update core.team_members set left_at = %s where user_id = %s and left_at is null", [since, person]
        )
        add(self.connection, "team_members", user_id=person, team_id=team, joined_at=since)
        self.oracle.teams[user].append((since, slug))

    def hang(self, slug: str, parent: str | None) -> None:
        self.connection.execute(
            "update core.teams set parent_team_id = %s where id = %s",
            [parent and self.team_ids[parent], self.team_ids[slug]],
        )
        self.oracle.parents[slug] = parent

    def add_price(self, model: str, amount: Decimal, since: datetime) -> None:
        self.connection.execute(
            "update core.model_prices set valid_to = %s where origin = 'test' and model = %s and valid_to is null",
            [since, model],
        )
        add_price(self.connection, "input_tokens", amount, model=model, valid_from=since)
        self.oracle.prices[model].append((since, amount))

    def play(self, kind: str, draw: Any) -> None:
        oracle, c = self.oracle, self.connection
        self.log.append(kind)
        stored = [name for name, request in oracle.requests.items() if request["raw"]]
        if kind == "load":
            said = draw(st.lists(requests(self.zone), min_size=1, max_size=5))
            if self.floor:
                said = [each for each in said if each["time"] >= self.floor]
            self.load({f"q-{next(self.numbers)}": each for each in said})
        elif kind == "replace" and stored:
            name = draw(st.sampled_from(stored))
            changed = {"said": draw(MONEY), "said_currency": draw(st.sampled_from(["USD", "EUR"]))}
            self.load({name: oracle.requests[name] | changed | {"tokens": draw(st.integers(1, 10**7))}})
        elif kind == "undo" and self.loads:
            before = self.loads.pop()
            number = value(c, "select max(id) from internal.loads where undone_at is null")
            undo(self.url, str(number))
            for name, request in before.items():
                if request is None:
                    del oracle.requests[name]
                else:
                    oracle.requests[name] = request
        elif kind == "price":
            model = draw(st.sampled_from(MODELS[:2]))
            last = max((since for since, _ in oracle.prices[model]), default=NOW - timedelta(days=200))
            since = draw(st.sampled_from([at for at in starts(self.zone) if at > last] or [NOW]))
            if since > last:
                self.add_price(model, draw(st.decimals("0.0001", 1000, places=6)), since)
        elif kind == "reprice":
            begin(
                self.url,
                Scope(NOW - timedelta(days=400), NOW + timedelta(days=1), "acme"),
                "r",
                "ann",
                into_closed=True,
            )
            proceed(self.url)
            oracle.reprice()
            oracle.settle()
            self.loads.clear()
        elif kind == "move":
            user, slug = draw(st.sampled_from(USERS)), draw(st.sampled_from(TEAMS))
            last, team = oracle.teams[user][-1]
            later = [at for at in starts(self.zone) if at > last]
            if later and slug != team:
                self.join(user, slug, draw(st.sampled_from(later)))
        elif kind == "hang":
            slug, parent = draw(st.sampled_from(TEAMS)), draw(st.sampled_from([None, *TEAMS]))
            if parent is None or parent not in oracle.below(slug):
                self.hang(slug, parent)
        elif kind == "close":
            self.close()
        elif kind == "credit":
            self.credit(draw(st.sampled_from(TEAMS)), draw(MONEY.filter(bool)), draw(st.sampled_from(["USD", "EUR"])))
        elif kind == "refresh":
            refresh(self.url)
            oracle.settle()
        elif kind == "retain":
            self.retain(draw(st.sampled_from([20, 45, 70])))

    floor: datetime | None = None

    def load(self, said: dict[str, Row]) -> None:
        if not said:
            return
        path = self.folder / f"usage-{next(self.numbers)}.jsonl"
        lines = []
        before: dict[str, Row | None] = {}
        for name, each in said.items():
            line = {
                "time": each["time"].isoformat(), "request_id": name, "provider": "acme", "model": each["model"],
                "user_id": f"{each['user']}@m.example", "input_tokens": each["tokens"], "status": each["status"],
            }  # fmt: skip
            if each["said"] is not None:
                line |= {"cost_amount": f"{each['said']:f}", "currency": each["said_currency"]}
            lines.append(json.dumps(line))
            before[name] = self.oracle.requests.get(name)
            request = dict(each) | {"raw": True}
            request["team"] = before[name]["team"] if before[name] else self.oracle.team_of(each["user"], each["time"])  # type: ignore[index]
            self.oracle.cost(request)
            self.oracle.requests[name] = request
        path.write_text("\n".join(lines) + "\n")
        report = ingest_files(self.url, [str(path)], on_conflict="replace")
        assert (report.quarantined, report.loaded + report.changed + report.duplicate) == (0, len(said)), report
        if report.loaded + report.changed == len(said):
            self.loads.append(before)
        else:
            self.loads.clear()

    def close(self) -> None:
        oracle = self.oracle
        this = oracle.month(datetime.now(UTC))
        months = sorted({oracle.month(request["time"]) for request in oracle.requests.values()})
        if oracle.closed:
            month = oracle.open_month()
        elif months:
            month = min([*months, *(key[0] for key, amount in oracle.booked.items() if amount)])
        else:
            return
        if month < this:
            close(self.url, f"{month:%Y-%m}", "ann")
            oracle.close(month)

    def credit(self, slug: str, amount: Decimal, currency: str) -> None:
        month = self.oracle.open_month() if self.oracle.closed else self.oracle.month(NOW)
        add(
            self.connection, "cost_adjustments", month=month, team_id=self.team_ids[slug], currency=currency,
            amount=-amount, reason="credit",
        )  # fmt: skip
        self.oracle.booked[month, slug, currency] -= amount

    def retain(self, days: int) -> None:
        """Raw rows go with their parts; what a refresh knew of them stays."""
        # what is pending when a retention is made shorter is not counted any more
        refresh(self.url)
        self.oracle.settle()
        c = self.connection
        kept = value(c, "select value from internal.settings where name = 'llm_metrics_retention'")
        c.execute("update internal.settings set value = %s where name = 'llm_metrics_retention'", [f"{days} days"])
        try:
            retain(self.url)
        finally:
            c.execute("update internal.settings set value = %s where name = 'llm_metrics_retention'", [kept])
        self.oracle.settle()
        left = {name for (name,) in c.execute("select request_id from core.llm_metrics").fetchall()}
        gone = value(c, "select dropped_before from internal.time_series where name = 'llm_metrics'")
        if isinstance(gone, datetime):
            self.floor = gone
        for name, request in self.oracle.requests.items():
            assert name in left or request["time"] < gone, (name, gone)
            request["raw"] = name in left
        self.loads.clear()
