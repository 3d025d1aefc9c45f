"""What tests of the names that sources give share: requests that name their owners, and who they belong to."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from click.testing import Result

# the middle of an hour of a day that is closed
AT = datetime.now(UTC).replace(hour=12, minute=30, second=0, microsecond=0) - timedelta(days=3)
OWNERS = """
    select m.request_id, u.email, t.slug, m.metadata -> 'unresolved_owner'
    from core.llm_metrics as m
    left join core.users as u on u.id = m.user_id
    left join core.teams as t on t.id = m.team_id
    order by m.request_id
"""
Run = Callable[..., Result]


def request(number: int, cost: str | None = "0.25", **owner: str) -> dict[str, object]:
    """A request an hour after the one before, of a source that names its owner."""
    return {
        "time": (AT + timedelta(hours=number)).isoformat(),
        "request_id": f"r{number}",
        "provider": "p",
        "model": "m",
        "source": "litellm",
        **({"cost_amount": cost} if cost else {}),
        **({"metadata": {"source_owner": owner}} if owner else {}),
    }
