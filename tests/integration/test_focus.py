"""Charges by FOCUS: a month worked out by hand, totals to the last digit, rules by their ids, what is refused."""

import csv
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import Result
from core_rows import add, add_team, value
from focus_rules import broken_rules
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from price_rows import add_agreement, add_price
from reporting_rows import report

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.export.focus import Exported, export_focus
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.warehouse.refresh import refresh

# the file is a COPY, which PGlite can't
pytestmark = pytest.mark.engines("postgres")
TODAY = datetime.now(UTC).date()
AFTER = TODAY.replace(day=1)
FIRST = (AFTER - timedelta(days=1)).replace(day=1)
BEFORE = (FIRST - timedelta(days=1)).replace(day=1)
KEY: tuple[str, ...] = (
    "ChargePeriodStart",
    "SkuPriceId",
    "SubAccountId",
    "BillingCurrency",
    "x_CostSource",
    "x_PriceId",
    "x_OriginId",
)
KEY += ("InvoiceDetailId", "InvoiceIssuerName")
MONTH = f"{FIRST:%Y-%m}"
Load = Callable[..., IngestReport]


@pytest.fixture(scope="module")
def priced(database: str) -> dict[str, Any]:
    """Prices of acme, 25 % off one of its models, and two teams."""
    with connect(database) as connection:
        for unit, price in {
            "input_tokens": "3",
            "cache_read_tokens": "0.3",
            "cache_write_tokens": "3.75",
            "output_tokens": "15",
            "searches": "10000",
        }.items():
            add_price(connection, unit, price)
        add_price(connection, "input_tokens", "4.000000007", model="dear")
        add_price(connection, "requests", "1000", model="dear")
        add_agreement(connection, provider="acme", model="dear", discount_percent=25, valid_from="2020-01-01Z")
        search = add_team(connection, name="Search", cost_center="100", slug="search")
        return {"search": search, "data": add_team(connection, name="Data", slug="data", parent_team_id=search)}


@pytest.fixture
def warehouse(database: str, priced: dict[str, Any], emptied_and_refreshed: None) -> Iterator[Connection]:
    with connect(database) as connection:
        yield connection
        empty(connection)


def empty(connection: Connection) -> None:
    connection.execute("set governance.managing_rows = 'on'")
    for table in ("llm_metrics", "shared_costs", "cost_adjustments"):
        connection.execute(f"delete from core.{table}".encode())
    connection.execute("set governance.managing_rows = ''")


def request(name: str, day: int = 1, **values: Any) -> dict[str, Any]:
    time = datetime(FIRST.year, FIRST.month, day, 10, tzinfo=UTC).isoformat()
    return {"time": time, "provider": "acme", "model": "rocket", "request_id": name, **values}


def share(connection: Connection, amount: Decimal | str, first: date = FIRST, end: date = AFTER) -> None:
    values = {"name": "Seats", "kind": "seats", "currency": "USD", "origin": "invoice", "allocation_key": "requests"}
    add(connection, "shared_costs", **values, amount=Decimal(amount), first_day=first, end_day=end)


def adjust(connection: Connection, amount: Decimal | str, **values: Any) -> None:
    said = {"currency": "USD", "reason": "Refund", "amount": Decimal(amount)}
    add(connection, "cost_adjustments", month=FIRST, **said, **values)


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return sorted(csv.DictReader(file), key=lambda row: [row[name] for name in KEY if name in row])


@pytest.fixture
def exported(database: str, tmp_path: Path) -> Callable[..., tuple[Exported, Path]]:
    """Exports the month into a new file."""

    def export(**options: Any) -> tuple[Exported, Path]:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.out"
        return export_focus(database, MONTH, path, **options), path

    return export


@pytest.fixture
def worked_out(database: str, warehouse: Connection, priced: dict[str, Any], load_json: Load) -> None:
    """A month of each kind of charge."""
    search, data = str(priced["search"]), str(priced["data"])
    load_json(
        [
            # 1000 at 3, 500 at 0.3, 100 at 15; the same again with two searches, of another spelling's day
            request("a", team_id=search, input_tokens=1000, cache_read_tokens=500, output_tokens=100),
            request("b", team_id=search, input_tokens=1000, metadata={"units": {"searches": 2}}),
            # a million at 4.000000007 less a quarter, and a request at 0.001 less a quarter
            request("c", 2, team_id=data, model="dear", input_tokens=1_000_000),
            # what the source said, with our prices beside it; what it said is just what they make
            request("d", 2, input_tokens=10, output_tokens=20, cost_amount="0.7", currency="USD"),
            request("e", 3, input_tokens=1000, cost_amount="0.003", currency="USD"),
            request("f", 3, model="unknown", input_tokens=99),
            request("g", 3, status="error"),
        ]
    )
    refresh(database)
    share(warehouse, "12")
    adjust(warehouse, "-0.05", corrects_month=BEFORE, team_id=search)


COLUMNS = (
    "ChargePeriodStart", "SubAccountName", "SkuPriceId", "PricingQuantity", "ContractedUnitPrice", "BilledCost",
    "ListCost", "ConsumedQuantity", "ConsumedUnit", "x_CostSource",
)  # fmt: skip


def day(number: int, of: date = FIRST) -> str:
    return f"{of:%Y-%m}-{number:02d}T00:00:00Z"


def test_a_month_worked_out_by_hand(worked_out: None, exported: Callable[..., tuple[Exported, Path]]) -> None:
    done, path = exported()
    found = lines(path)
    usage = sorted(" ".join(row[name] for name in COLUMNS) for row in found if row["ChargeCategory"] == "Usage")
    dear = "3.00000000525"
    # by the list the 0.7 that a source said are 0.00003 + 0.0003
    assert usage == sorted(
        f"{day(number)} {charge}"
        for number, charge in [
            (1, "Search acme/rocket/input_tokens/standard 0.002 3 0.006 0.006 2000 Tokens computed"),
            (1, "Search acme/rocket/cache_read_tokens/standard 0.0005 0.3 0.00015 0.00015 500 Tokens computed"),
            (1, "Search acme/rocket/output_tokens/standard 0.0001 15 0.0015 0.0015 100 Tokens computed"),
            (1, "Search acme/rocket/other_units/standard 1 0.02 0.02 0.02 2 Requests computed"),
            (2, f"Data acme/dear/input_tokens/standard 1 {dear} {dear} 4.000000007 1000000 Tokens computed"),
            (2, "Data acme/dear/requests/standard 0.000001 750 0.00075 0.001 1 Requests computed"),
            (2, " acme/rocket/all/standard 1 0.7 0.7 0.00033 30 Tokens provider"),
            (3, " acme/rocket/input_tokens/standard 0.001 3 0.003 0.003 1000 Tokens provider"),
        ]
    )
    others = [row for row in found if row["ChargeCategory"] != "Usage"]
    # 12 by 7 requests: Search 2, Data 1, no team 4
    assert sorted((row["SubAccountName"], row["BilledCost"][:8]) for row in others if row["ChargeClass"] == "") == [
        ("", "6.857142"), ("Data", "1.714285"), ("Search", "3.428571")
    ]  # fmt: skip
    (correction,) = [row for row in others if row["ChargeClass"] == "Correction"]
    assert (correction["BilledCost"], correction["ListCost"], correction["SubAccountName"]) == (
        "-0.05",
        "-0.05",
        "Search",
    )
    assert (correction["ChargePeriodStart"], correction["ChargePeriodEnd"]) == (day(1, BEFORE), day(1))
    assert {row["BillingPeriodStart"] for row in found} == {day(1)}
    assert {row["BillingPeriodEnd"] for row in found} == {day(1, AFTER)}
    # 0.006 + 0.00015 + 0.0015 + 0.02 + 3.00000000525 + 0.00075 + 0.7 + 0.003 + 12 - 0.05
    total = {"USD": Decimal("15.68140000525")}
    assert done == Exported(MONTH, 12, total, total, 1, True)


def test_details_of_a_sku(worked_out: None, exported: Callable[..., tuple[Exported, Path]]) -> None:
    _, path = exported()
    details = {row["SkuMeter"]: row["SkuPriceDetails"] for row in lines(path) if row["SkuId"].startswith("acme/rocket")}
    assert details["Cache Read Input Tokens"] == (
        '{"x_ModelId": "rocket", "x_CacheAction": "Read", "x_ServiceTier": "standard", "x_TokenDirection": "Input"}'
    )
    assert '"x_TokenDirection": "Output"' in details["Output Tokens"]
    tags = {row["SubAccountName"]: row["Tags"] for row in lines(path)}
    assert tags == {
        "": "",
        "Search": '{"team": "Search", "cost_center": "100"}',
        "Data": '{"team": "Search > Data", "cost_center": "100"}',
    }


def test_a_charge_is_tagged_by_what_it_is_allocated_by(
    database: str,
    warehouse: Connection,
    priced: dict[str, Any],
    load_json: Load,
    exported: Callable[..., tuple[Exported, Path]],
) -> None:
    bot: dict[str, Any] = {"application": "bot", "environment": "production", "team_id": str(priced["search"])}
    load_json(
        [
            # sessions make no charges of their own, and a tag doesn't say the team
            request("a", **bot, input_tokens=1000, tags={"project": "atlas", "session": "1", "team": "Sales"}),
            request("b", **bot, input_tokens=2000, tags={"project": "atlas", "session": "2"}),
            request("c", **bot | {"environment": "staging"}, input_tokens=4000, tags={"project": ["atlas", "nova"]}),
            request("d", application="bot", input_tokens=8000),
            request("e", input_tokens=16000),
        ]
    )
    refresh(database)
    done, path = exported()
    team = '"team": "Search", "project": {}, "application": "bot", "cost_center": "100", "environment": "{}"'
    assert {row["Tags"]: row["ConsumedQuantity"] for row in lines(path)} == {
        "{" + team.format('"atlas"', "production") + "}": "3000",
        "{" + team.format('"[\\"atlas\\", \\"nova\\"]"', "staging") + "}": "4000",
        '{"application": "bot"}': "8000",
        "": "16000",
    }
    assert (done.rows, done.totals) == (4, done.charged)
    assert broken_rules(path.read_text()) == {}


def test_no_rule_of_focus_is_broken(worked_out: None, exported: Callable[..., tuple[Exported, Path]]) -> None:
    assert broken_rules(exported()[1].read_text()) == {}


WRONG = [
    ("ChargeCategory", "Refund", {"ChargeCategory-C-003-M"}),
    ("ChargePeriodStart", "2026-10-01 00:00:00+00", {"ChargePeriodStart-C-001-M", "ChargePeriodStart-C-002-M"}),
    ("BilledCost", "1,5", {"BilledCost-C-001-M", "BilledCost-C-002-M", "BilledCost-C-004-M"}),
    ("BilledCost", "", {"BilledCost-C-003-M"}),
    ("ContractedCost", "9", {"ContractedUnitPrice-C-011-C"}),
    ("ListUnitPrice", "-1", {"ListUnitPrice-C-008-M", "ListUnitPrice-C-010-C", "ListCost-C-009-C"}),
    ("BillingCurrency", "$", {"BillingCurrency-C-003-M", "BillingCurrency-C-006-M"}),
    ("ConsumedUnit", "", {"ConsumedUnit-C-006-C"}),
    ("PricingUnit", "per token", {"PricingUnit-C-003-O"}),
    ("SkuId", "x", {"SkuPriceId-C-008-M"}),
    ("SkuPriceDetails", '{"ModelId": "m"}', {"SkuPriceDetails-C-017-C", "SkuPriceDetails-C-007-M"}),
    ("Tags", '{"a": {"b": 1}}', {"Tags-C-001-M"}),
    ("InvoiceIssuerName", "other", {"BilledCost-C-005-C"}),
]


def test_the_rules_find_what_is_wrong(
    worked_out: None, exported: Callable[..., tuple[Exported, Path]], tmp_path: Path
) -> None:
    _, path = exported()
    for column, wrong, rules in WRONG:
        rows = lines(path)
        row = next(row for row in rows if row["SkuMeter"] == "Input Tokens")
        # another row of the same price, with another parent or other details
        rows.append(row | {column: wrong})
        broken = tmp_path / "broken.csv"
        with broken.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        assert rules <= broken_rules(broken.read_text()).keys(), column


def test_a_column_that_is_gone_and_an_empty_text_are_found(
    worked_out: None, exported: Callable[..., tuple[Exported, Path]]
) -> None:
    text = exported()[1].read_text()
    assert broken_rules(text.replace(",computed,,", ',computed,"",', 1)).keys() == {"NullHandling-A-002-M"}
    assert "CostAndUsage-D-004-C" in broken_rules(text.replace("ListUnitPrice", "x_ListUnitPrice", 1))


def test_the_newer_version_has_the_same_rows(worked_out: None, exported: Callable[..., tuple[Exported, Path]]) -> None:
    older, newer = (lines(exported(version=version)[1]) for version in ("1.2", "1.4"))
    renamed = {"ServiceProviderName", "HostProviderName", "InvoiceDetailId"}
    assert newer[0].keys() - older[0].keys() == renamed
    assert older[0].keys() - newer[0].keys() == {"ProviderName", "PublisherName"}
    common = sorted(older[0].keys() & newer[0].keys())
    assert [[row[name] for name in common] for row in older] == [[row[name] for name in common] for row in newer]
    assert [row["ProviderName"] for row in older] == [row["ServiceProviderName"] for row in newer]

    details = lines(exported(version="1.4", dataset_name="invoice-detail")[1])
    charged = {row["InvoiceDetailId"]: Decimal(0) for row in newer}
    for row in newer:
        charged[row["InvoiceDetailId"]] += Decimal(row["BilledCost"])
    assert {row["InvoiceDetailId"]: Decimal(row["BilledCost"]) for row in details} == charged
    assert {row["InvoiceIssueStatus"] for row in details} == {"Open"}
    periods = lines(exported(version="1.4", dataset_name="billing-period")[1])
    assert [(row["InvoiceIssuerName"], row["BillingPeriodStart"]) for row in periods] == [
        ("acme", day(1)),
        ("internal", day(1)),
    ]


def test_parquet_has_each_cell_of_the_csv(worked_out: None, exported: Callable[..., tuple[Exported, Path]]) -> None:
    (done, text), (same, columnar) = exported(), exported(file_format="parquet")
    assert same == done

    def said(cell: Any) -> str:
        match cell:
            case None:
                return ""
            case datetime():
                return f"{cell:%Y-%m-%dT%H:%M:%SZ}"
            case Decimal():
                return f"{cell.normalize():f}"
        return str(cell)

    rows = [{name: said(cell) for name, cell in row.items()} for row in pq.read_table(columnar).to_pylist()]
    assert sorted(rows, key=str) == sorted(lines(text), key=str)


def test_parquet_refuses_digits_that_it_cannot_keep(
    warehouse: Connection, exported: Callable[..., tuple[Exported, Path]], tmp_path: Path
) -> None:
    adjust(warehouse, "0.0000000000000000000000001")
    with pytest.raises(GovernanceError, match="more than 20 digits behind the point.*export with --format csv"):
        exported(file_format="parquet")
    assert list(tmp_path.iterdir()) == []
    assert lines(exported()[1])[0]["BilledCost"] == "0.0000000000000000000000001"


def test_the_command_says_what_it_wrote(
    run_governance: Callable[..., Result], worked_out: None, tmp_path: Path
) -> None:
    path = tmp_path / "x.csv"
    result = run_governance("export", "focus", "--period", "last-month", "--output", str(path))
    assert (result.exit_code, result.stdout) == (0, f"{path}\n")
    assert f"12 charges of {MONTH}: 15.68140000525 USD\n" in result.stderr
    assert "1 request without a price not in it" in result.stderr


AMOUNTS = st.decimals(min_value=0, max_value=1000, places=12)
TOKENS = st.integers(0, 10**7)


def test_totals_are_those_of_the_warehouse(
    database: str, warehouse: Connection, priced: dict[str, Any], load_json: Load, exported: Callable[..., Any]
) -> None:
    """Random requests, shared costs and adjustments: each day, team and currency adds up to the last digit."""
    teams = st.sampled_from([None, str(priced["search"]), str(priced["data"])])
    usage = st.fixed_dictionaries(
        {
            "day": st.integers(1, 28),
            "team_id": teams,
            "model": st.sampled_from(["rocket", "dear", "unknown"]),
            "input_tokens": TOKENS,
            "cache_read_tokens": TOKENS,
            "output_tokens": st.sampled_from([0, 7]),
            "status": st.sampled_from(["success", "error"]),
        },
        optional={
            "cost_amount": AMOUNTS.map(str),
            "currency": st.sampled_from(["USD", "EUR"]),
            "metadata": st.just({"units": {"searches": 3}}),
        },
    )

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
    @given(st.lists(usage, max_size=30), st.lists(AMOUNTS, max_size=2), st.lists(AMOUNTS.filter(bool), max_size=2))
    def check(used: list[dict[str, Any]], shared: list[Decimal], adjusted: list[Decimal]) -> None:
        empty(warehouse)
        loaded = load_json([request(f"r{n}", **each) for n, each in enumerate(used)])
        assert loaded.loaded == len(used)
        refresh(database)
        for amount in shared:
            share(warehouse, amount, FIRST - timedelta(days=5))
        for amount in adjusted:
            adjust(warehouse, -amount)
        done, path = exported()
        rows = lines(path)
        assert broken_rules(path.read_text()) == {} or not rows
        summed = sums(
            (row["ChargePeriodStart"][:10], row["SubAccountId"], row["BillingCurrency"], row["BilledCost"])
            for row in rows
            if row["ChargeCategory"] == "Usage"
        )
        of_reports = report(warehouse, "cost_summary_view")
        assert summed == sums(
            (str(r["day"]), str(r["team_id"] or ""), r["currency"], r["cost"] or 0) for r in of_reports
        )
        charged = report(warehouse, "chargeback", month=FIRST)
        totals = sums((row["currency"], row["total"] or 0) for row in charged)
        assert sums((row["BillingCurrency"], row["BilledCost"]) for row in rows) == totals
        assert sums(done.totals.items()) == totals == sums(done.charged.items())
        assert done.unpriced_requests == sum(r["unpriced_requests"] for r in of_reports)
        listed = value(
            warehouse, "select coalesce(sum(coalesce(list_cost_amount, cost_amount)), 0) from core.llm_metrics"
        )
        assert sum(Decimal(r["ListCost"]) for r in rows if r["ChargeCategory"] == "Usage") == listed

    check()


def sums(rows: Any) -> dict[tuple[Any, ...], Decimal]:
    found: dict[tuple[Any, ...], Decimal] = {}
    for *key, amount in rows:
        found[tuple(key)] = found.get(tuple(key), Decimal(0)) + Decimal(amount)
    return {key: amount for key, amount in found.items() if amount}
