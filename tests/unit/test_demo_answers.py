"""What the demo's summary says about the rows that a view gives."""

from datetime import date
from decimal import Decimal

from orchestration.demo.summary import changed_prices

BEFORE = (
    date(2026, 10, 1), date(2026, 11, 6), Decimal(10), Decimal("1.1250"), Decimal(2_000_000), Decimal("2.25"),
)  # fmt: skip
AFTER = (date(2026, 11, 9), date(2026, 11, 27), Decimal(8), Decimal("7.2"), Decimal(1_000_000), Decimal("7.2"))


def test_a_price_that_changed_is_told_by_what_the_same_tokens_cost() -> None:
    rows = [("Input Tokens", "USD", *BEFORE), ("Output Tokens", "USD", *BEFORE), ("Output Tokens", "USD", *AFTER)]
    sentence, cells = changed_prices(rows, len(rows))
    assert sentence == (
        "A million output tokens cost 1.125 USD until 2026-11-06 and 7.20 USD since 2026-11-09; "
        "each request has the price of its time."
    )
    assert cells[-1] == (
        "Output Tokens", "2026-11-09 to 2026-11-27", "8.00 USD", "7.20 USD", "1,000,000", "7.20 USD",
    )  # fmt: skip


def test_without_a_change_nothing_is_made_up() -> None:
    assert changed_prices([("Input Tokens", "USD", *BEFORE)], 1)[0] == "No price changed."
    assert changed_prices([], 0) == ("No price changed.", [])
