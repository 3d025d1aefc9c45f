"""Sums of money in Python as exact as in the database: the default context of decimals rounds to 28 digits."""

from collections.abc import Iterable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, InvalidOperation

# an amount has up to 12 digits and 100 decimals, one that was converted as many again
_EXACT = Context(prec=1_000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact, InvalidOperation])


def plus(one: Decimal, other: Decimal) -> Decimal:
    """Their sum."""
    return _EXACT.add(one, other)


def minus(one: Decimal, other: Decimal) -> Decimal:
    """Their difference."""
    return _EXACT.subtract(one, other)


def total(amounts: Iterable[Decimal | None]) -> Decimal:
    """The sum of those that are known."""
    found = Decimal(0)
    for amount in amounts:
        if amount is not None:
            found = _EXACT.add(found, amount)
    return found


def from_cents(cents: Decimal) -> Decimal:
    """As many units of the currency."""
    return _EXACT.scaleb(cents, -2)


def plain(amount: Decimal) -> str:
    """All of its digits, without an exponent and without zeros at the end of its fraction."""
    return f"{_EXACT.normalize(amount):f}" if amount else "0"
