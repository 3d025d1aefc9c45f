"""Sums of money are exact whatever their digits, and a limit is used up where its amount was spent, not its share."""

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.lib import money
from orchestration.lib.compliance.limits import is_nearly_used_up, is_used_up
from orchestration.lib.compliance.tables import as_text

# as much as an amount of usage can have
DIGITS = st.integers(0, 10**12 - 1)
AMOUNTS = st.builds(
    lambda whole, part, places: Decimal(f"{whole}.{part % 10**places:0{places}d}"),
    DIGITS, st.integers(0, 10**100 - 1), st.integers(1, 100),
)  # fmt: skip


@given(st.lists(AMOUNTS, max_size=8))
def test_sums_are_exact(amounts: list[Decimal]) -> None:
    expected = sum(map(Fraction, amounts), Fraction(0))
    assert Fraction(money.total([*amounts, None])) == expected
    assert Fraction(as_text(money.total(amounts)) or "") == expected
    for one in amounts[:2]:
        assert Fraction(money.minus(money.plus(one, amounts[-1]), one)) == Fraction(amounts[-1])
        assert Fraction(money.from_cents(one)) == Fraction(one) / 100


def test_no_context_of_others_rounds() -> None:
    with localcontext(prec=2):
        assert money.total([Decimal("1234567.1"), Decimal("3.7500000000000003e-06")]) == Decimal(
            "1234567.1000037500000000000003"
        )


@pytest.mark.parametrize(
    ("spent", "limit", "used_up", "nearly"),
    [
        ("99.996", "100", False, True),
        ("100", "100", True, False),
        ("79.9999", "100", False, False),
        ("80", "100", False, True),
        ("0.00000000000000000001", "0", True, False),
        ("0", "0", False, False),
        (None, "0", False, False),
        (None, "100", False, False),
    ],
)
def test_a_limit_is_used_up_by_its_amount(spent: str | None, limit: str, used_up: bool, nearly: bool) -> None:
    budget: dict[str, Any] = {"spent": spent, "limit_amount": limit}
    assert (is_used_up(budget), is_nearly_used_up(budget)) == (used_up, nearly)
