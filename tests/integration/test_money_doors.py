"""One question has one answer, whatever door it comes through: to the last digit, and in whatever zone it is read."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from closing_rows import back, empty
from core_rows import add, add_team, value
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from reporting_rows import USAGE_ROLLUPS, noon, report

from orchestration.lib.compliance.report import write_report
from orchestration.lib.compliance.site.write import write_site
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.export.focus import export_focus
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.warehouse.refresh import refresh

pytestmark = pytest.mark.engines("postgres")

# a month that is over, so that the rows of a closed day are asked for too
MONTH = back(1)
# as sources write them: doubles with their noise, many decimals, large ones beside small ones
COSTS = st.sampled_from(["3.7500000000000003e-06", "1.4999999999999999e-07", "1234567.1", "0", "999999999.99"]) | (
    st.decimals(0, 10**6, places=30).map(str)
)
ROW = st.fixed_dictionaries(
    {
        "day": st.integers(1, 28),
        "team": st.sampled_from(["one", "two", ""]),
        "model": st.sampled_from(["gpt-4o", "gpt-4o-2024-08-06", "claude-sonnet-4"]),
        "currency": st.sampled_from(["USD", "EUR"]),
        "tags": st.sampled_from(['{"project": ["x", "y", "z"]}', '{"project": "y"}', ""]),
        "status": st.sampled_from(["success", "error"]),
        "cost": COSTS,
    }
)
Sums = dict[Any, Fraction]


@pytest.fixture
def warehouse(database: str) -> Iterator[Connection]:
    """For what a refresh must see; its rows go at the end."""
    with connect(database) as connection:
        yield connection
        clear(connection)
    refresh(database)


def clear(connection: Connection) -> None:
    empty(connection)
    connection.execute("set governance.managing_rows = 'on'")
    connection.execute("delete from core.budget_crossings")
    connection.execute("delete from core.budgets")
    connection.execute("delete from core.teams where slug <> 'organization'")
    connection.execute("set governance.managing_rows = ''")
    connection.execute("delete from internal.budget_searches")


def added(pairs: Sequence[tuple[Any, Any]]) -> Sums:
    """Sums by key of exact numbers; what is 0 is left out."""
    sums: Sums = defaultdict(Fraction)
    for key, amount in pairs:
        sums[key] += Fraction(amount) if amount not in (None, "") else 0
    return {key: amount for key, amount in sums.items() if amount}


def asked(connection: Connection, query: str) -> Sums:
    return added([(row[:-1] if len(row) > 2 else row[0], row[-1]) for row in connection.execute(query.encode())])


def in_file(path: Path, *columns: str, cost: str = "cost") -> Sums:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return added([(tuple(row[c] for c in columns) if len(columns) > 1 else row[columns[0]], row[cost]) for row in rows])


def by(rows: Sequence[dict[str, Any]], *names: str) -> Sums:
    return added([(tuple(r[n] for n in names) if len(names) > 1 else r[names[0]], r["cost"]) for r in rows])


def test_what_a_month_cost_is_the_same_through_every_door(warehouse: Connection, database: str, tmp_path: Path) -> None:
    """Rows, rollups, views, charges, FOCUS, the compliance report, the site and budgets, of what a file said."""
    teams = {
        slug: add_team(
            warehouse,
            slug=slug,
            name=slug,
            currency="USD",
            budget_amount=1,
            budget_period="month",
            created_at=noon(300),
        )
        for slug in ("one", "two")
    }
    for currency in ("USD", "EUR"):
        add(
            warehouse, "budgets", tag_key="project", tag_value="y", amount=1, currency=currency, period="month",
            valid_from=noon(300),
        )  # fmt: skip
    numbers = iter(range(100))

    @settings(
        max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate]
    )
    @given(st.lists(ROW, min_size=4, max_size=12))
    def check(rows: list[dict[str, Any]]) -> None:
        empty(warehouse)
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        path = folder / "usage.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["time", "request_id", "provider", "model", "team_id", *list(ROW_NAMES)])
            for number, row in enumerate(rows):
                moment = datetime.combine(MONTH.replace(day=row["day"]), time(23, 59, 59), UTC)
                owner = teams.get(row["team"], "")
                said = [row[name] for name in ROW_NAMES.values()]
                writer.writerow([moment.isoformat(), f"r{number}", "openai", row["model"], owner, *said])
        assert ingest_files(database, [str(path)]).loaded == len(rows)
        refresh(database)

        by_currency, by_team = by(rows, "currency"), by(rows, "team", "currency")
        by_day = added([(str(MONTH.replace(day=row["day"])), row["cost"]) for row in rows if row["currency"] == "USD"])
        named = [row | {"model": "gpt-4o" if row["model"].startswith("gpt") else row["model"]} for row in rows]
        by_model = by(named, "model", "currency")
        failed = by([row for row in rows if row["status"] == "error"], "currency")

        for relation in ("core.llm_metrics", *(f"rollups.{name}" for name in USAGE_ROLLUPS)):
            assert asked(warehouse, f"select currency, sum(cost_amount) from {relation} group by 1") == by_currency
        for view in ("cost_summary_view", "spend_by_user_view", "spend_by_key_view", "cost_basis", "cost_of_outcomes"):
            assert asked(warehouse, f"select currency, sum(cost) from reporting.{view} group by 1") == by_currency, view
        assert (
            asked(
                warehouse, "select currency, sum(cost) from reporting.cost_by_tag where tag_key = 'project' group by 1"
            )
            == by_currency
        )
        assert (
            asked(warehouse, "select currency, sum(failed_cost) from reporting.cost_of_outcomes group by 1") == failed
        )
        slugs = "coalesce((select slug from core.teams as t where t.id = team_id), '')"
        for view in ("spend_by_team_view", "spend_by_team_model_view", "cost_summary_view"):
            query = f"select {slugs}, currency, sum(cost) from reporting.{view} group by 1, 2"
            assert asked(warehouse, query) == by_team, view
        assert (
            asked(warehouse, f"select {slugs}, currency, sum(total) from reporting.chargeback group by 1, 2") == by_team
        )
        for view in ("spend_by_model_view", "spend_by_team_model_view"):
            query = f"select model, currency, sum(cost) from reporting.{view} group by 1, 2"
            assert asked(warehouse, query) == by_model, view
        query = "select canonical_model, currency, sum(cost) from reporting.cost_summary_view group by 1, 2"
        assert asked(warehouse, query) == by_model

        month = f"{MONTH:%Y-%m}"
        export_focus(database, month, folder / "focus.csv")
        assert in_file(folder / "focus.csv", "SubAccountName", "BillingCurrency", cost="BilledCost") == by_team
        written, _ = write_report(database, month, folder)
        for name in ("spend", "spend_by_team", "spend_by_model", "spend_by_day"):
            assert in_file(written / f"{name}.csv", "currency") == by_currency, name
        assert in_file(written / "spend_by_model.csv", "model", "currency") == by_model
        assert in_file(written / "chargeback.csv", "currency", cost="total") == by_currency
        write_site(database, folder / "site")
        pages = folder / "site" / "csv"
        assert in_file(pages / f"spend-{month}-teams.csv", "currency") == by_currency
        assert in_file(pages / f"spend-{month}-models.csv", "model", "currency") == by_model
        if by_day:
            with (pages / f"spend-{month}-spend-by-day-and-team-USD.csv").open(encoding="utf-8", newline="") as file:
                days = [(row.pop("day"), list(row.values())) for row in csv.DictReader(file)]
            assert added([(day, cost) for day, costs in days for cost in costs]) == by_day

        of_teams = {slug: by_team.get((slug, "USD"), Fraction(0)) for slug in teams}
        status = report(warehouse, "budget_status", period_start=MONTH)
        spent = {row["target"]: Fraction(row["spent"]) for row in status if row["target_kind"] == "team"}
        assert {slug: spent[str(team)] for slug, team in teams.items()} == of_teams
        shares = asked(
            warehouse,
            "select currency, sum(cost) from reporting.cost_by_tag"
            " where tag_key = 'project' and tag_value = 'y' group by 1",
        )
        of_tag = {row["currency"]: Fraction(row["spent"]) for row in status if row["target_kind"] == "tag"}
        assert of_tag == {"USD": Fraction(0), "EUR": Fraction(0)} | shares

    check()


ROW_NAMES = {"currency": "currency", "tags": "tags", "status": "status", "cost_amount": "cost"}

# where some day of the last year had no midnight
GAPS = ("America/Santiago", "Africa/Cairo", "Asia/Beirut", "America/Havana")
READERS = (*GAPS, "Pacific/Kiritimati", "Etc/GMT+12", "Asia/Kathmandu", "Europe/Berlin")


def days_without_midnight(zone: str) -> list[date]:
    place, today = ZoneInfo(zone), datetime.now(UTC).date()
    days = [today - timedelta(days=n) for n in range(1, 365)]
    midnights = [(day, datetime.combine(day, time(), place)) for day in days]
    return [
        day
        for day, midnight in midnights
        if midnight.astimezone(UTC).astimezone(place).date() != day
        or midnight.astimezone(UTC).astimezone(place).hour != 0
    ]


def read_in(connection: Connection, zone: str, views: Sequence[str]) -> dict[str, list[str]]:
    """The rows of views as somebody reads them whose session is in that zone, instants in UTC."""
    connection.execute("select set_config('timezone', %s, true)", [zone])

    def said(cell: Any) -> str:
        return repr(cell.astimezone(UTC) if isinstance(cell, datetime) and cell.tzinfo else cell)

    return {
        view: sorted(
            str([said(cell) for cell in row]) for row in connection.execute(f"select * from reporting.{view}".encode())
        )
        for view in views
    }


def test_reports_say_the_same_in_the_zone_of_every_reader(warehouse: Connection, database: str) -> None:
    team = add_team(warehouse, currency="USD", budget_amount=50, budget_period="month", created_at=noon(400))
    for period in ("day", "month", "quarter", "year"):
        add(
            warehouse, "budgets", application="chat", amount=5, currency="USD", period=period, valid_from=noon(400)
        )  # fmt: skip
    add(
        warehouse, "shared_costs", name="seats", kind="seats", origin="invoice", currency="USD", amount=Decimal(100),
        first_day=noon(200).date(), end_day=noon(1).date(), allocation_key="cost",
    )  # fmt: skip
    gaps = {day for zone in GAPS for day in days_without_midnight(zone)}
    assert len(gaps) >= len(GAPS)
    ends = {(day.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1) for day in gaps}
    moments = [datetime.combine(day, time(hour), UTC) for day in gaps | ends for hour in (0, 5, 23)]
    moments = [moment for moment in [*moments, *(noon(days) for days in range(40))] if moment < noon(0)]
    for number, moment in enumerate(sorted(moments)):
        warehouse.execute("select internal.ensure_partitions('core.llm_metrics', %s, %s)", [moment, moment])
        warehouse.execute(
            "insert into core.llm_metrics"
            " (time, request_id, provider, model, application, team_id, cost_amount, cost_source)"
            " values (%s, %s, 'openai', 'gpt-4o', 'chat', %s, 1, 'provider')",
            [moment, f"z{number}", team],
        )
    refresh(database)
    views = [
        name
        for (name,) in warehouse.execute(
            "select table_name from information_schema.views where table_schema = 'reporting' order by 1"
        )
    ]
    with warehouse.transaction():
        expected = read_in(warehouse, "UTC", views)
        assert sum(map(bool, expected.values())) > 15
        for zone in READERS:
            found = read_in(warehouse, zone, views)
            assert [view for view in views if found[view] != expected[view]] == [], zone
    # and it is all that was spent
    [year] = [row for row in report(warehouse, "budget_status", target="chat", period="year") if row["is_running"]]
    this_year = [moment for moment in moments if moment.year == datetime.now(UTC).year]
    assert year["spent"] == len(this_year) == value(
        warehouse, "select sum(spent) from reporting.budget_status where target = 'chat' and period = 'day'"
        " and period_start >= date_trunc('year', now(), 'UTC')"
    )  # fmt: skip
