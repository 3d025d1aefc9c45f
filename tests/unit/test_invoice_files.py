"""Invoices: nothing is guessed that could make another amount or another day of them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.lib.usage.sources.invoice import REPORT
from orchestration.lib.usage.sources.report import Row

LINE = {
    "invoice_id": "I-1",
    "provider": "OpenAI",
    "first_day": "2026-10-01",
    "zone": "UTC",
    "amount": "1.5",
    "currency": "usd",
}


def row(**said: str) -> Row:
    (found,) = REPORT.rows({**LINE, **said})
    return found


@pytest.mark.parametrize(
    ("amount", "decimal", "expected"),
    [
        ("1234.56", "", "1234.56"),
        ("-0.055", "", "-0.055"),
        ("0.125", "", "0.125"),
        ("1234.5670000000000001", "", "1234.5670000000000001"),
        ("1.234,56", ",", "1234.56"),
        ("-1.234.567,8", ",", "-1234567.8"),
        ("1 234,56", ",", "1234.56"),
        ("1'234.56", ".", "1234.56"),
        ("1.234", ",", "1234"),
        ("1.234", ".", "1.234"),
        ("1,234", ".", "1234"),
        ("12,5", ",", "12.5"),
        ("\u221212,5", ",", "-12.5"),
    ],
)
def test_an_amount_is_read_by_its_stated_mark(amount: str, decimal: str, expected: str) -> None:
    found = row(amount=amount, decimal=decimal)
    assert (found["cost_amount"], found.get("wrong")) == (Decimal(expected), None)


@pytest.mark.parametrize(
    ("amount", "decimal", "reason"),
    [
        ("1.234,56", "", "state its decimal mark with --decimal ,"),
        ("1,234.56", "", "state its decimal mark"),
        ("12,50", "", "state its decimal mark"),
        ("1.234", "", "which may be a thousand times the other"),
        ("1234.56", ",", "no number whose decimals follow ','"),
        ("1.23,4", ",", "no number whose decimals follow ','"),
        ("0.125", ",", "no number whose decimals follow ','"),
        ("-0,125", ".", "no number whose decimals follow '.'"),
        ("1.234,56", ".", "no number whose decimals follow '.'"),
        ("1,23", ".", "no number whose decimals follow '.'"),
        ("€ 12.50", "", "leave currency signs out"),
        ("NaN", "", "not a plain number"),
        ("1e3", "", "not a plain number"),
        ("", "", "amount is missing"),
        ("1", ";", "it is a point or a comma"),
    ],
)
def test_what_could_be_another_amount_is_refused(amount: str, decimal: str, reason: str) -> None:
    found = row(amount=amount, decimal=decimal)
    assert found["cost_amount"] is None
    assert reason in found["wrong"][0]


@given(st.decimals(-(10**9), 10**9, places=2), st.sampled_from([(",", "."), (".", ","), (",", " "), (".", "'")]))
def test_any_amount_survives_its_locale(amount: Decimal, marks: tuple[str, str]) -> None:
    """Written with groups it is read as itself, and without a statement never as something else."""
    decimal, group = marks
    written = f"{amount:,.2f}".replace(",", "G").replace(".", decimal).replace("G", group)
    assert row(amount=written, decimal=decimal)["cost_amount"] == amount
    assert row(amount=written)["cost_amount"] in (None, amount)


def test_days_are_those_of_the_stated_zone() -> None:
    found = row(zone="America/Los_Angeles", last_day="2026-10-31")
    assert f"{found['starts_at']} {found['ends_at']}" == "2026-10-01 07:00:00+00:00 2026-11-01 07:00:00+00:00"
    assert (found["zone"], found["provider"], found["currency"]) == ("America/Los_Angeles", "openai", "USD")
    # a day of 25 hours
    found = row(zone="Europe/Berlin", first_day="2026-10-25")
    assert f"{found['starts_at']} {found['ends_at']}" == "2026-10-24 22:00:00+00:00 2026-10-25 23:00:00+00:00"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"zone": ""}, "the zone in which its days are days is missing"),
        ({"zone": "Mars"}, "there is no time zone 'Mars'"),
        # what isn't UTF-8 can't be stored as it is
        ({"zone": "\ud800\0"}, r"there is no time zone '\ud800\x00'"),
        ({"zone": "../../etc/passwd"}, "there is no time zone"),
        ({"first_day": "01.10.2026"}, "write days as 2026-10-31"),
        ({"first_day": "10/01/2026"}, "the day and the month look alike"),
        ({"first_day": "2026-02-30"}, "write days as"),
        ({"first_day": "9999-12-31"}, "not a day of an invoice"),
        ({"last_day": "2026-09-30"}, "last_day is before first_day"),
        ({"provider": ""}, "provider is missing"),
        ({"invoice_id": " "}, "invoice_id is missing"),
        ({"currency": "Euro"}, "the currency is not a code of three letters"),
    ],
)
def test_what_is_not_stated_is_refused(said: dict[str, str], reason: str) -> None:
    assert any(reason in wrong for wrong in row(**said)["wrong"])


def test_other_columns_are_kept() -> None:
    assert row(cost_centre="4711", amount="1")["dimensions"] == {"cost_centre": "4711"}
