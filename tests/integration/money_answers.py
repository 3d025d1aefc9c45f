"""What each report must answer after a history of money, by the oracle."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from money_histories import TEAMS, USERS, History
from money_oracle import Row, total

from orchestration.lib.database.connection import Connection

# query, how its rows are compared, what it must answer
Answer = tuple[str, set[tuple[Any, ...]]]
ROLLUPS = {
    "metrics": ("team", "user", "model", "currency"),
    "team": ("team", "model", "currency"),
    "spend": ("team", "currency"),
    "user": ("user", "currency"),
    "key": ("currency",),
    "model": ("model", "currency"),
    "application": ("currency",),
}
RULES = ("altered_closed_periods", "unsettled_closed_periods", "days_differ_from_hours", "usage_rollup_differs")
VIEWS = {"team": ("team",), "user": ("user",), "model": ("model",), "team_model": ("team", "model")}
COLUMNS = {"team": "team_id", "user": "user_id", "model": "model", "currency": "currency"}


def answers(history: History, now: datetime) -> Iterator[Answer]:
    """Each report as a query whose rows, as a set, are known."""
    oracle = history.oracle
    today = oracle.day(now)
    this = today.replace(day=1)
    last = (this - timedelta(days=1)).replace(day=1)
    ids: dict[Any, Any] = {**history.team_ids, None: None}
    people = history.user_ids

    def key(row: Row, names: tuple[str, ...]) -> tuple[Any, ...]:
        named = {"team": ids[row["team"]], "user": people[row["user"]]}
        return tuple(named.get(name, row[name]) for name in names)

    def spend(start: Callable[[datetime], object], *names: str) -> set[tuple[Any, ...]]:
        return oracle.spend(lambda row: (start(row["time"]), *key(row, names)))

    for rollup, names in ROLLUPS.items():
        listed = ", ".join(COLUMNS[name] for name in names)
        sums = "sum(request_count)::bigint, sum(cost_amount), sum(unpriced_request_count)::bigint"
        for size, column, start in (("hourly", "bucket", oracle.hour), ("daily", "day", oracle.day)):
            yield (
                f"select {column}, {listed}, {sums} from rollups.llm_{rollup}_{size} group by {column}, {listed}",
                spend(start, *names),
            )
    yield (
        "select day, team_id, user_id, model, currency, requests, successful_requests, input_tokens, cost,"
        " unpriced_requests from reporting.cost_summary_view",
        {
            (
                *group, len(rows), sum(row["status"] == "success" for row in rows), sum(row["tokens"] for row in rows),
                total(row["cost"] for row in rows), sum(row["cost"] is None for row in rows),
            )
            for group, rows in oracle.grouped(
                lambda row: (oracle.day(row["time"]), *key(row, ("team", "user", "model", "currency")))
            ).items()
        },
    )  # fmt: skip
    for view, names in VIEWS.items():
        listed = ", ".join(COLUMNS[name] for name in (*names, "currency"))
        sums = "sum(requests)::bigint, sum(cost), sum(unpriced_requests)::bigint"
        yield (
            f"select day, {listed}, {sums} from reporting.spend_by_{view}_view group by day, {listed}",
            spend(oracle.day, *names, "currency"),
        )
    yield from months(history, today, this, last, ids)
    yield from activity(history, today)
    yield from charges(history, ids)


def money(rows: list[Row]) -> Decimal | None:
    return total(row["cost"] for row in rows)


def months(history: History, today: date, this: date, last: date, ids: dict[Any, Any]) -> Iterator[Answer]:
    oracle = history.oracle
    same = min(last + (today - this), this)
    expected = set()
    for (team, currency), rows in oracle.grouped(lambda row: (row["team"], row["currency"])).items():
        by_day = [(oracle.day(row["time"]), row) for row in rows if last <= oracle.day(row["time"]) <= today]
        if not by_day:
            continue
        now = [row for day, row in by_day if day >= this]
        expected.add(
            (
                ids[team], currency, len(now), money(now), money([row for day, row in by_day if this <= day < today]),
                money([row for day, row in by_day if day < same]), money([row for day, row in by_day if day < this]),
                sum(row["cost"] is None for row in now),
            )
        )  # fmt: skip
    yield (
        "select team_id, currency, requests, cost, finished_days_cost, last_month_same_days_cost, last_month_cost,"
        " unpriced_requests from reporting.month_to_date",
        expected,
    )
    subtree = {team: oracle.below(team) for team in TEAMS}
    yield (
        "select team_id, spend, total_spend, other_currencies, unpriced_requests from reporting.team_hierarchy_view"
        f" where slug in {TEAMS}",
        {
            (
                ids[team],
                money(of_team(oracle, this, {team})),
                money(of_team(oracle, this, subtree[team])),
                any(row["currency"] != "USD" for row in of_team(oracle, this, subtree[team], None)),
                sum(row["cost"] is None for row in of_team(oracle, this, subtree[team], None)),
            )
            for team in TEAMS
        },
    )
    yield (
        f"select target, spent, daily_spend, unpriced_requests, other_currencies from reporting.budget_status"
        f" where is_running and target = any(array[{', '.join(repr(str(ids[team])) for team in TEAMS)}])",
        {
            (
                str(ids[team]),
                money(of_team(oracle, this, subtree[team])),
                tuple(
                    money([r for r in of_team(oracle, this, subtree[team]) if oracle.day(r["time"]) == day])
                    for day in (this + timedelta(days=n) for n in range((today - this).days + 1))
                ),
                sum(row["cost"] is None for row in of_team(oracle, this, subtree[team])),
                ("EUR",) if any(r["currency"] == "EUR" for r in of_team(oracle, this, subtree[team], None)) else (),
            )
            for team in TEAMS
        },
    )


def of_team(oracle: Any, this: date, teams: set[str], currency: str | None = "USD") -> list[Row]:
    return [
        row
        for row in oracle.requests.values()
        if row["team"] in teams and oracle.month(row["time"]) == this and currency in (None, row["currency"])
    ]


def activity(history: History, today: date) -> Iterator[Answer]:
    oracle = history.oracle
    expected = set()
    for name in USERS:
        mine = [row for row in oracle.requests.values() if row["user"] == name]
        within = {
            n: [r for r in mine if today - timedelta(days=n - 1) <= oracle.day(r["time"]) <= today] for n in (1, 7, 30)
        }
        dollars = {n: [r for r in rows if r["currency"] == "USD"] for n, rows in within.items()}
        expected.add(
            (
                history.user_ids[name], *(len(within[n]) for n in (1, 7, 30)), sum(r["tokens"] for r in within[30]),
                *(money(dollars[n]) for n in (1, 7, 30)), any(r["currency"] != "USD" for r in within[30]),
                len({r["model"] for r in within[30]}), max((r["time"] for r in mine), default=None),
                sum(r["cost"] is None for r in within[30]),
            )
        )  # fmt: skip
    yield (
        "select user_id, requests_1d, requests_7d, requests_30d, tokens_30d, cost_1d, cost_7d, cost_30d,"
        " other_currencies, distinct_models_30d, last_request_at, unpriced_requests_30d"
        " from reporting.user_activity_summary_view where email like '%@m.example'",
        expected,
    )


def charges(history: History, ids: dict[Any, Any]) -> Iterator[Answer]:
    oracle = history.oracle
    charged = {(month, ids[team], currency, amount) for (month, team, currency), amount in oracle.charged().items()}
    yield (
        "select month, team_id, currency, sum(total) from reporting.chargeback group by 1, 2, 3 having sum(total) <> 0",
        charged,
    )
    zone = oracle.zone.key
    yield (
        f"select (billing_period_start at time zone '{zone}')::date, sub_account_id::uuid, billing_currency,"
        " sum(billed_cost) from reporting.focus_cost_and_usage group by 1, 2, 3 having sum(billed_cost) <> 0",
        charged,
    )
    yield ("select * from reporting.period_totals where difference <> 0", set())
    usage: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for (month, team, model, currency), amount in oracle.by_month().items():
        usage[month, ids[team], model, currency] += amount
    yield (
        "select month, team_id, model, currency, amount from reporting.period_totals"
        " where kind = 'usage' and amount <> 0",
        {(*group, amount) for group, amount in usage.items() if amount},
    )


def check(history: History) -> None:
    """Every report that the oracle answers, in one snapshot."""
    connection: Connection = history.connection
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        [(now,)] = connection.execute("select now()").fetchall()
        for query, expected in answers(history, now):
            rows = connection.execute(query.encode()).fetchall()
            found = {tuple(tuple(each) if isinstance(each, list) else each for each in row) for row in rows}
            assert len(found) == len(rows), query
            assert found == expected, (query, "missing", expected - found, "wrong", found - expected, history.log)
        for rule in RULES:
            found_by_rule = connection.execute(f"select * from verification.{rule}".encode()).fetchall()
            assert found_by_rule == [], (rule, history.log)
