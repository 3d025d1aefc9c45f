"""Totals by tag and by charge are the total, to the last digit; shared costs, adjustments and rates beside them."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from core_rows import add, add_team, refused, value
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg.errors import CheckViolation, InvalidParameterValue, RestrictViolation, UniqueViolation
from reporting_rows import add_request, noon, report

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.warehouse.refresh import refresh

UNIT = Decimal("1e-12")


def split(amount: Decimal, weights: Sequence[Decimal]) -> list[Decimal]:
    """Largest remainder, by the book: cut each share, then a unit each to those that lost most, ties in order."""
    unit = min(UNIT, Decimal(1).scaleb(amount.as_tuple().exponent))  # type: ignore[arg-type]
    units = [int(amount / unit) * weight for weight in weights]
    total = sum(weights)
    shares = [int(part // total) for part in units]
    lost = [part % total for part in units]
    order = sorted(range(len(weights)), key=lambda place: (-lost[place], place))
    for place in order[: int(amount / unit) - sum(shares)]:
        shares[place] += 1
    return [share * unit for share in shares]


AMOUNTS = st.decimals(min_value=0, max_value=10**6, places=9)
WEIGHTS = st.lists(st.integers(0, 10**6).map(Decimal), min_size=1, max_size=6).filter(any)


@pytest.mark.engines("postgres")
def test_an_amount_is_split_to_the_last_digit(connection: Connection) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(AMOUNTS | st.decimals(0, 10, places=15), WEIGHTS)
    def check(amount: Decimal, weights: list[Decimal]) -> None:
        shares = value(connection, "select internal.split_amount(%s, %s)", amount, weights)
        assert sum(shares) == amount
        assert shares == split(amount, weights)

    check()


@pytest.mark.parametrize("weights", [[], [0, 0], [1, -1], [None, 1]])
def test_what_cannot_be_split_is_an_error(connection: Connection, weights: list[int | None]) -> None:
    with refused(
        connection, InvalidParameterValue, "an amount is split by weights that are not negative and not all 0"
    ):
        value(connection, "select internal.split_amount(1, %s::numeric[])", weights)


TAGS: tuple[dict[str, Any] | None, ...] = (
    None,
    {},
    {"run": "7"},
    {"project": "x"},
    {"project": ["x", "y", "z"], "customer": "c"},
    {"project": ["y", "y"], "night": True, "beta": True, "prod": True},
    {"project": [], "customer": None},
)


@st.composite
def requests(draw: st.DrawFn, teams: Sequence[Any]) -> dict[str, Any]:
    tags = draw(st.sampled_from(TAGS))
    return {
        "time": noon(draw(st.integers(0, 70))),
        "team_id": draw(st.sampled_from(teams)),
        "currency": draw(st.sampled_from(["USD", "EUR"])),
        "cost_amount": draw(st.none() | AMOUNTS),
        "input_tokens": draw(st.integers(0, 10**6)),
        "tags": None if tags is None else json.dumps(tags),
    }


def values_of(request: dict[str, Any], key: str) -> list[str | None]:
    tags = json.loads(request["tags"] or "{}")
    if key == "tag":
        found = sorted((name for name, said in tags.items() if said is True), key=lambda name: (len(name), name))
    else:
        said = tags.get(key)
        found = list(dict.fromkeys(said if isinstance(said, list) else [] if said is None else [said]))
    return found or [None]


def month_of(day: date) -> date:
    return day.replace(day=1)


def total(rows: Sequence[dict[str, Any]], *columns: str, measure: str) -> dict[tuple[Any, ...], Decimal]:
    sums: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for row in rows:
        sums[tuple(row[column] for column in columns)] += row[measure] or 0
    return {key: amount for key, amount in sums.items() if amount}


@pytest.fixture
def committed(database: str) -> Iterator[Connection]:
    """For what a refresh must see; its rows go at the end."""
    with connect(database) as connection:
        yield connection
        empty(connection)
        connection.execute("set governance.managing_rows = 'on'")
        connection.execute("delete from core.teams where slug <> 'organization'")
    refresh(database)


def empty(connection: Connection) -> None:
    connection.execute("set governance.managing_rows = 'on'")
    for table in ("llm_metrics", "shared_costs", "cost_adjustments", "exchange_rates"):
        connection.execute(f"delete from core.{table}".encode())
    connection.execute("set governance.managing_rows = ''")


def test_totals_by_tag_and_by_charge_are_the_total(committed: Connection, database: str) -> None:
    """Random requests, shared costs and adjustments against a page of decimals."""
    teams = [add_team(committed, cost_center=center) for center in ("100", "200", None)]
    cost = {"name": "seats", "kind": "seats", "origin": "invoice", "currency": "USD"}
    keys = st.sampled_from(["cost", "requests", "tokens", "equal", "fixed"])

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(
        st.lists(requests([*teams, None]), max_size=12),
        st.lists(st.tuples(AMOUNTS, st.integers(-70, 0), st.integers(1, 90), keys), max_size=3),
        st.lists(st.tuples(st.sampled_from([*teams, None]), AMOUNTS.filter(bool), st.booleans()), max_size=3),
    )
    def check(used: list[Any], shared: list[Any], adjusted: list[Any]) -> None:
        empty(committed)
        for request in used:
            add_request(committed, **request)
        with committed.transaction():
            today = datetime.now(UTC).date()
            this_month = month_of(today)
            begun = Decimal(0)
            for amount, first, days, key in shared:
                span = {"first_day": today + timedelta(days=first), "end_day": today + timedelta(days=first + days)}
                weights = {"weights": {"nobody": 1, slug(committed, teams[0]): 2}} if key == "fixed" else {}
                add(committed, "shared_costs", **cost, **span, amount=amount, allocation_key=key, **weights)
                begun += begun_part(amount, span["first_day"], span["end_day"], this_month)
            for team, amount, is_credit in adjusted:
                add_adjustment(committed, team, this_month, -amount if is_credit else amount)
        refresh(database)
        check_tags(committed, used)
        check_charges(committed, used, begun, sum((-a if c else a for _, a, c in adjusted), Decimal(0)))

    check()


def slug(connection: Connection, team: Any) -> str:
    return str(value(connection, "select slug from core.teams where id = %s", team))


def add_adjustment(connection: Connection, team: Any, month: date, amount: Decimal) -> None:
    add(connection, "cost_adjustments", team_id=team, month=month, currency="USD", amount=amount, reason="credit")


def begun_part(amount: Decimal, first: date, end: date, this_month: date) -> Decimal:
    """Of the amount what falls on months that have begun, each with the days it has of the span."""
    days = [first + timedelta(days=n) for n in range((end - first).days)]
    months = sorted({month_of(day) for day in days})
    shares = split(amount, [Decimal(sum(month_of(day) == month for day in days)) for month in months])
    return sum((share for month, share in zip(months, shares, strict=True) if month <= this_month), Decimal(0))


def check_tags(connection: Connection, used: list[dict[str, Any]]) -> None:
    rows = report(connection, "cost_by_tag")
    for key in {row["tag_key"] for row in rows}:
        of_key = [row for row in rows if row["tag_key"] == key]
        days = [request | {"day": request["time"].date()} for request in used]
        assert total(of_key, "day", "currency", measure="cost") == total(days, "day", "currency", measure="cost_amount")
        assert sum(row["requests"] for row in of_key) == len(used)
        assert sum(row["unpriced_requests"] for row in of_key) == sum(r["cost_amount"] is None for r in used)
        groups: dict[tuple[Any, ...], list[Decimal]] = defaultdict(list)
        for request in days:
            groups[request["day"], request["currency"], tuple(values_of(request, key))].append(
                request["cost_amount"] or Decimal(0)
            )
        shares: list[dict[str, Any]] = []
        for (day, currency, named), costs in groups.items():
            amount = sum(costs, Decimal(0))
            parts = split(amount, [Decimal(1)] * len(named)) if len(named) > 1 else [amount]
            shares += [
                {"day": day, "currency": currency, "tag_value": tag_value, "cost": part}
                for tag_value, part in zip(named, parts, strict=True)
            ]
        grain = ("day", "currency", "tag_value")
        assert total(of_key, *grain, measure="cost") == total(shares, *grain, measure="cost")


def check_charges(connection: Connection, used: list[dict[str, Any]], begun: Decimal, adjusted: Decimal) -> None:
    rows = report(connection, "chargeback")
    direct = [request | {"month": month_of(request["time"].date())} for request in used]
    grain = ("month", "team_id", "currency")
    assert total(rows, *grain, measure="direct") == total(direct, *grain, measure="cost_amount")
    assert sum(row["shared"] for row in rows) == begun
    assert sum(row["adjustment"] for row in rows) == adjusted
    dollars = [row["total"] or Decimal(0) for row in rows if row["currency"] == "USD"]
    spent = sum((r["cost_amount"] or Decimal(0) for r in used if r["currency"] == "USD"), Decimal(0))
    assert sum(dollars) == spent + begun + adjusted
    assert {row["cost_center"] for row in rows if row["team_id"] is None} <= {None}


def charges(connection: Connection, month: date) -> dict[Any, Decimal]:
    return {row["team_id"]: row["shared"] for row in report(connection, "chargeback", month=month, currency="USD")}


@pytest.mark.engines("postgres")
@pytest.mark.parametrize(
    "said", [("azure", "gpt-4o"), ("azure_openai", "gpt-4o-2024-08-06")], ids=["one name", "as said"]
)
def test_a_shared_cost_may_name_what_reports_or_what_sources_call_it(
    committed: Connection, database: str, said: tuple[str, str]
) -> None:
    team = add_team(committed)
    at = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    spelt = {"provider": "azure_openai", "model": "gpt-4o-2024-08-06", "team_id": team}
    add_request(committed, at, **spelt, cost_amount=Decimal(3), input_tokens=30)
    add_request(committed, at, provider="azure", model="gpt-4o-mini", cost_amount=Decimal(3), input_tokens=30)
    refresh(database)
    assert report(committed, "spend_by_model_view", provider="azure", model="gpt-4o")
    span = {"first_day": at.date(), "end_day": (at + timedelta(days=32)).date().replace(day=1)}
    for key in ("cost", "requests", "tokens", "equal"):
        add(
            committed, "shared_costs", name="units", kind="provisioned_throughput", origin="invoice", currency="USD",
            amount=Decimal(10), **span, allocation_key=key, provider=said[0], model=said[1],
        )  # fmt: skip
    assert {team: part for team, part in charges(committed, at.date()).items() if part} == {team: 40}


def test_a_shared_cost_is_spread_by_its_key(committed: Connection, database: str) -> None:
    """12 USD. Search: 30 tokens, 3 USD in 1 request. Data: 10 tokens, 1 USD and 9 EUR in 2 requests."""
    search, data = add_team(committed, slug="search"), add_team(committed, slug="data")
    now = datetime.now(UTC)
    at = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    month, end = at.date(), (at + timedelta(days=32)).date().replace(day=1)
    usage = {"provider": "openai", "model": "big"}
    add_request(committed, at, **usage, team_id=search, cost_amount=Decimal(3), input_tokens=30)
    add_request(committed, at, **usage, team_id=data, cost_amount=Decimal(1), input_tokens=10)
    add_request(
        committed,
        at,
        provider="azure",
        model="b",
        team_id=data,
        cost_amount=Decimal(9),
        currency="EUR",
        input_tokens=0,
    )
    refresh(database)
    common = {"name": "n", "kind": "commitment", "amount": 12, "currency": "USD", "origin": "contract"}
    span = {"first_day": month, "end_day": end}
    expected: dict[str, tuple[dict[str, Any], dict[Any, int]]] = {
        "cost": ({}, {search: 9, data: 3}),
        "requests": ({}, {search: 4, data: 8}),
        "tokens": ({}, {search: 9, data: 3}),
        "equal": ({}, {search: 6, data: 6}),
        "fixed": ({"weights": {"search": 1, "data": 2, "nobody": 3}}, {search: 2, data: 4, None: 6}),
    }
    for key, (values, shares) in expected.items():
        with committed.transaction(force_rollback=True):
            add(committed, "shared_costs", **common, **span, allocation_key=key, **values)
            assert {team: part for team, part in charges(committed, month).items() if part} == shares, key
    of_provider: dict[str, dict[Any, int]] = {"azure": {data: 12}, "nobody's": {None: 12}}
    for provider, shares in of_provider.items():
        with committed.transaction(force_rollback=True):
            add(committed, "shared_costs", **common, **span, allocation_key="requests", provider=provider)
            assert {team: part for team, part in charges(committed, month).items() if part} == shares


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"end_day": date(2026, 1, 1)}, "shared_costs_end_day_check"),
        ({"allocation_key": "whim"}, "shared_costs_allocation_key_check"),
        ({"allocation_key": "fixed"}, "shared_costs_fixed_check"),
        ({"weights": {"a": 1}}, "shared_costs_fixed_check"),
        ({"allocation_key": "fixed", "weights": {"a": -1}}, 'the weight of "a" is -1; it must be a number'),
        ({"allocation_key": "fixed", "weights": {"a": "1"}}, 'the weight of "a" is "1"; it must be a number'),
        ({"allocation_key": "fixed", "weights": {"a": 0}}, "all weights are 0"),
        ({"allocation_key": "fixed", "weights": {}}, "weights must be an object of teams' slugs"),
        ({"amount": -5}, "shared_costs_amount_check"),
        ({"origin": ""}, "shared_costs.origin is blank"),
    ],
)
def test_what_is_no_shared_cost_is_refused(connection: Connection, values: dict[str, Any], message: str) -> None:
    cost = {
        "name": "n", "kind": "seats", "amount": 1, "currency": "USD", "origin": "o", "allocation_key": "cost",
        "first_day": date(2026, 1, 1), "end_day": date(2026, 2, 1),
    }  # fmt: skip
    with refused(connection, CheckViolation, message):
        add(connection, "shared_costs", **cost | values)


def test_an_adjustment_is_corrected_by_another(connection: Connection) -> None:
    adjustment = {"month": date(2026, 3, 1), "currency": "USD", "amount": -5, "reason": "credit"}
    made = add(connection, "cost_adjustments", **adjustment)
    with refused(connection, RestrictViolation, "amount of a row that was true cannot be changed; add another"):
        connection.execute("update core.cost_adjustments set amount = 1 where id = %s", [made])
    with refused(
        connection, RestrictViolation, "cannot be deleted: .*; add another adjustment with the opposite amount"
    ):
        connection.execute("delete from core.cost_adjustments where id = %s", [made])
    for wrong in ({"month": date(2026, 3, 2)}, {"amount": 0}, {"corrects_month": date(2026, 4, 1)}):
        with refused(connection, CheckViolation, f"cost_adjustments_{next(iter(wrong))}_check"):
            add(connection, "cost_adjustments", **adjustment | wrong)


def test_a_rate_is_dated_and_one_of_its_day(connection: Connection) -> None:
    rate = {
        "from_currency": "EUR",
        "to_currency": "USD",
        "rate_day": date(2026, 3, 2),
        "rate": "1.0731",
        "origin": "ECB",
    }
    add(connection, "exchange_rates", **rate)
    with refused(connection, UniqueViolation, "exchange_rates_rate_day_key"):
        add(connection, "exchange_rates", **rate | {"rate": 2})
    for wrong, constraint in (
        ({"rate": 0}, "rate"),
        ({"rate": "NaN"}, "rate"),
        ({"to_currency": "EUR"}, "currencies"),
        ({"to_currency": "usd"}, "to_currency"),
        ({"rate_day": "infinity"}, "rate_day"),
    ):
        with refused(connection, CheckViolation, f"exchange_rates_{constraint}_check"):
            add(connection, "exchange_rates", **rate | wrong)


def test_a_converted_total_stands_beside_the_original(committed: Connection, database: str) -> None:
    team = add_team(committed)
    at = noon(0).replace(day=1, hour=0)
    add_request(committed, at, team_id=team, cost_amount=Decimal("10.01"), currency="EUR")
    refresh(database)
    first = at.date()
    for day, rate in ((first - timedelta(days=40), "1.2"), (first, "1.1")):
        add(committed, "exchange_rates", from_currency="EUR", to_currency="USD", rate_day=day, rate=rate, origin="ECB")
    [row] = report(committed, "chargeback", team_id=team)
    assert (row["total"], row["currency"]) == (Decimal("10.01"), "EUR")
    assert (row["converted_total"], row["converted_currency"]) == (Decimal("11.011"), "USD")
    assert (row["exchange_rate"], row["exchange_rate_day"], row["exchange_rate_origin"]) == (
        Decimal("1.1"),
        first,
        "ECB",
    )
