"""How far a limit is used, by the amounts themselves: a share is rounded, and a limit of 0 has none."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_NEAR = Decimal("0.8")


def is_used_up(budget: Mapping[str, Any]) -> bool:
    """Whether all of it was spent; of a limit of 0, whether anything was."""
    spent = Decimal(budget["spent"] or 0)
    return spent > 0 and spent >= Decimal(budget["limit_amount"])


def is_nearly_used_up(budget: Mapping[str, Any]) -> bool:
    """Whether 80 % of it were spent, and not all."""
    spent, limit = Decimal(budget["spent"] or 0), Decimal(budget["limit_amount"])
    return spent > 0 and spent >= limit * _NEAR and not is_used_up(budget)
