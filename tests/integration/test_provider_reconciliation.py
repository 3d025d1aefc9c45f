"""What requests cost beside what their provider bills: invoices in the database, the report, and the command."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from usage_loads import NOW, counts, query

from orchestration.lib.database.connection import connect
from orchestration.lib.usage.ledger import undo
from orchestration.lib.usage.load import ingest_files
from orchestration.lib.warehouse.refresh import refresh

HEADER = "invoice_id,provider,first_day,last_day,zone,line_item,amount,currency"
FIRST = (NOW - timedelta(days=20)).date()
IN_FORCE = (
    "select invoice_id, sum(cost_amount) from core.provider_usage where replaced_at is null group by 1 order by 1"
)
pytestmark = pytest.mark.usefixtures("emptied_and_refreshed", "no_reports")

Write = Callable[..., str]
Run = Callable[..., Result]


@pytest.fixture
def no_reports(database: str) -> Iterator[None]:
    yield
    with connect(database) as connection:
        connection.execute("delete from core.provider_usage")
        connection.execute("delete from core.exchange_rates")


def day(number: int) -> str:
    return f"{FIRST + timedelta(days=number)}"


def bill(write: Write, *lines: str, name: str = "bill.csv") -> str:
    return write(HEADER, *lines, name=name)


def costs(database: str, write: Write, *requests: tuple[str, str, str]) -> None:
    """Requests of acme by time, cost and currency."""
    lines = [f"{time},r-{n},acme,m,{cost},{currency}" for n, (time, cost, currency) in enumerate(requests)]
    ingest_files(database, [write("time,request_id,provider,model,cost_amount,currency", *lines)])
    refresh(database)


def test_a_changed_invoice_is_taken_only_explicitly_and_nothing_is_lost(
    database: str, write_usage: Write, run_ingest: Run
) -> None:
    first = bill(write_usage, f"I-1,acme,{day(0)},{day(1)},UTC,a,100,USD", f"I-1,acme,{day(0)},{day(1)},UTC,a,100,USD")
    assert counts(ingest_files(database, [first], source="invoice")) == (2, 0, 0)
    assert counts(ingest_files(database, [first], source="invoice")) == (0, 2, 0)
    # another period, account and sum of the same invoice
    changed = bill(write_usage, f"I-1,acme,{day(0)},{day(5)},UTC,a,90,USD", name="changed.csv")
    result = run_ingest("--source", "invoice", "--set", "account=b", changed)
    assert result.stdout == "read 1 = loaded 0 + duplicate 0 + changed 1 + quarantined 0\n"
    assert "stays as it is: --on-conflict replace would take it" in result.stderr
    assert "invoice I-1 of acme: 200 in all is stored, 90 in the file" in result.stderr
    assert query(database, IN_FORCE) == [("I-1", 200)]
    result = run_ingest("--source", "invoice", "--set", "account=b", "--on-conflict", "replace", changed)
    assert (result.exit_code, query(database, IN_FORCE)) == (0, [("I-1", 90)])
    assert query(database, "select sum(cost_amount) from core.provider_usage where replaced_at is not null") == [(200,)]
    # taken back, the one before holds again
    result = run_ingest("--undo", query(database, "select max(id)::text from internal.loads")[0][0])
    assert result.stderr == "2 lines of an invoice that it had taken the place of hold again\n"
    assert query(database, IN_FORCE) == [("I-1", 200)]
    assert run_ingest("--undo", query(database, "select min(id)::text from internal.loads")[0][0]).stderr == ""


def test_versions_that_are_taken_back_in_the_middle(database: str, write_usage: Write) -> None:
    for amount in ("1", "2", "3"):
        file = bill(write_usage, f"I-1,acme,{day(0)},,UTC,a,{amount},USD", name=f"{amount}.csv")
        ingest_files(database, [file], source="invoice", on_conflict="replace")
    undo(database, "2.csv")
    assert query(database, IN_FORCE) == [("I-1", 3)]
    undo(database, "3.csv")
    assert query(database, IN_FORCE) == [("I-1", 1)]


def test_an_invoice_is_loaded_whole_or_not_at_all(database: str, write_usage: Write, run_ingest: Run) -> None:
    file = bill(
        write_usage,
        f"I-1,acme,{day(0)},,UTC,a,12.50,USD",
        f'I-1,acme,{day(0)},,UTC,b,"1.234,56",USD',
        f"I-2,acme,{day(0)},,UTC,c,1.50,USD",
    )
    result = run_ingest("--source", "invoice", file)
    assert result.exit_code == 3
    assert result.stdout == "read 3 = loaded 0 + duplicate 0 + changed 0 + quarantined 3\n"
    assert "amount is '1.234,56', not a plain number such as 1234.56: state its decimal mark" in result.stderr
    assert "another line of the invoice can't be read, so nothing of it is loaded (2 rows)" in result.stderr
    assert query(database, "select line, row_data ->> 'invoice_id' from internal.quarantine order by 1") == [
        (2, "I-1"),
        (3, "I-1"),
        (4, "I-2"),
    ]
    # with a comma as its decimal mark the same file would say 1250 for 12.50: refused, too
    assert run_ingest("--source", "invoice", "--decimal", ",", file).exit_code == 3
    assert query(database, IN_FORCE) == []
    german = bill(write_usage, f'I-1,acme,{day(0)},,UTC,b,"1.234,56",EUR')
    assert run_ingest("--source", "invoice", "--decimal", ",", german).exit_code == 0
    assert query(database, IN_FORCE) == [("I-1", Decimal("1234.56"))]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--set", "colour=red"), "of which only the account and the provider and the zone and the decimal can be set"),
        (("--on-conflict", "quarantine"), "an invoice is kept as it is or replaced"),
        (("--set", "zone=Mars"), "there is no time zone 'Mars'"),
    ],
)
def test_what_an_invoice_has_no_use_for(
    write_usage: Write, run_ingest: Run, options: tuple[str, str], sentence: str
) -> None:
    result = run_ingest("--source", "invoice", *options, bill(write_usage, f"I-1,acme,{day(0)},,UTC,a,1,USD"))
    assert result.exit_code != 0
    assert sentence in f"{result.exception} {result.stderr}"


def compared(database: str, columns: str) -> list[tuple[Any, ...]]:
    return query(database, f"select {columns} from reporting.provider_reconciliation order by source, day, currency")


def test_days_are_compared_in_the_zone_of_the_bill(database: str, write_usage: Write) -> None:
    """23:00 UTC is the day before in Los Angeles and the day after in Tokyo."""
    costs(database, write_usage, (f"{day(1)}T23:00:00Z", "10", "USD"), (f"{day(2)}T01:00:00Z", "5", "USD"))
    for zone, first in (("America/Los_Angeles", 1), ("Asia/Tokyo", 2), ("UTC", 1)):
        file = bill(
            write_usage, f"{zone},acme,{day(first)},,{zone},a,15,USD", f"{zone},acme,{day(first + 1)},,{zone},a,5,USD"
        )
        ingest_files(database, [file], source="invoice")
    found = query(
        database,
        "select zone, day::text, our_cost, status, explained_by from reporting.provider_reconciliation order by 1, 2",
    )
    assert found == [
        ("America/Los_Angeles", day(1), 15, "matched", None),
        ("America/Los_Angeles", day(2), None, "missing here", None),
        ("Asia/Tokyo", day(2), 15, "matched", None),
        ("Asia/Tokyo", day(3), None, "missing here", None),
        ("UTC", day(1), 10, "differs", None),
        ("UTC", day(2), 5, "matched", None),
    ]


def test_a_month_with_lines_of_its_days_is_one_span_and_a_silent_day_is_missing(
    database: str, write_usage: Write
) -> None:
    costs(database, write_usage, *((f"{day(n)}T10:00:00Z", "10", "USD") for n in range(6)))
    file = bill(
        write_usage,
        f"I-1,acme,{day(0)},{day(2)},UTC,fee,9,USD",
        f"I-1,acme,{day(1)},,UTC,tokens,21,USD",
        f"I-2,acme,{day(4)},,UTC,tokens,10,USD",
    )
    ingest_files(database, [file], source="invoice")
    assert compared(database, "day::text, end_day::text, our_cost, their_cost, status") == [
        (day(0), day(3), 30, 30, "matched"),
        (day(3), day(4), 10, None, "missing there"),
        (day(4), day(5), 10, 10, "matched"),
    ]


def test_the_command_gates(database: str, write_usage: Write, run_governance: Run) -> None:
    reconcile = ("reconcile", "provider", "--provider", "Acme", "--period")
    result = run_governance(*reconcile, day(1))
    assert result.exit_code == 2
    assert f"no cost report and no invoice of Acme about {day(1)} is loaded" in result.stderr
    costs(database, write_usage, (f"{day(1)}T10:00:00Z", "99.5", "USD"), (f"{day(2)}T10:00:00Z", "7", "USD"))
    ingest_files(database, [bill(write_usage, f"I-1,acme,{day(1)},,UTC,a,100,USD")], source="invoice")
    result = run_governance(*reconcile, day(1))
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        f"acme by invoice, {day(1)} to before {day(2)} of UTC: ours 99.5, theirs 100 USD, difference -0.5;"
        " 1 row matched, 0 not\n"
    )
    result = run_governance(*reconcile, day(1), "--tolerance", "0.1%", "--json")
    said = json.loads(result.stdout)
    assert (result.exit_code, said["is_matched"], said["rows"][0]["status"]) == (1, False, "differs")
    assert (said["rows"][0]["their_cost"], said["rows"][0]["difference_share"]) == ("100", "-0.005")
    # the days after the last bill aren't proven
    result = run_governance(*reconcile, f"{FIRST + timedelta(days=1):%Y}")
    assert result.exit_code == 1
    assert f"acme: 7 USD from {day(2)} to {day(2)} can't be compared, for its reports don't reach" in result.stderr
    for wrong, sentence in (("2026-13", "is no month"), ("2999", "has not begun")):
        result = run_governance(*reconcile, wrong)
        assert (result.exit_code, sentence in result.stderr) == (2, True)
    assert "is no share" in run_governance(*reconcile, day(1), "--tolerance", "many").stderr


def test_currencies_are_never_mixed(database: str, write_usage: Write, run_governance: Run) -> None:
    reconcile = ("reconcile", "provider", "--period", day(1))
    costs(database, write_usage, (f"{day(1)}T10:00:00Z", "100", "USD"))
    ingest_files(database, [bill(write_usage, f"I-1,acme,{day(1)},,UTC,a,90,EUR")], source="invoice")
    result = run_governance(*reconcile)
    assert result.exit_code == 1
    assert "acme bills EUR where requests have another currency, and no rate to EUR" in result.stderr
    rates = "insert into core.exchange_rates (from_currency, to_currency, rate_day, rate, origin) values"
    with connect(database) as connection:
        connection.execute(f"{rates} ('USD', 'EUR', '{day(0)}', 0.9, 'bank'), ('USD', 'EUR', '{day(5)}', 0.5, 'bank')")
    result = run_governance(*reconcile, "--all")
    assert result.exit_code == 0, result.output
    assert f"90 (from USD at 0.9 of {day(0)})" in result.stdout
    assert compared(database, "currency, our_cost, converted_cost, their_cost, status, explained_by") == [
        ("EUR", None, 90, 90, "matched", "currency")
    ]


def test_the_names_of_bills_are_those_of_requests(database: str, tmp_path: Path, write_usage: Write) -> None:
    """What AWS bills is compared with requests to bedrock; what was replaced isn't compared."""
    lines = f"{day(1)}T10:00:00Z,r,aws_bedrock,m,3,USD"
    ingest_files(database, [write_usage("time,request_id,provider,model,cost_amount,currency", lines)])
    refresh(database)
    for amount in ("5", "3"):
        file = bill(write_usage, f"I-1,AWS,{day(1)},,UTC,a,{amount},USD")
        ingest_files(database, [file], source="invoice", on_conflict="replace")
    assert compared(database, "provider, our_cost, their_cost, status") == [("bedrock", 3, 3, "matched")]
