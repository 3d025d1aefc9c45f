"""What violates a rule, as metadata of its check."""

from typing import Any

import dagster as dg

from orchestration.lib.errors import GovernanceError
from orchestration.lib.evidence.result import Verification
from orchestration.lib.verification.rules import verify

# more than a page of the browser says less
_SHOWN = 10


def as_metadata(verification: Verification) -> dict[str, Any]:
    """How many violations there are, and a table of the first ones: what is wrong, and what to do about it."""
    metadata: dict[str, Any] = {"violations": len(verification.violations), "accepted": verification.accepted}
    if verification.violations:
        shown = verification.violations[:_SHOWN]
        metadata["what is wrong"] = dg.MetadataValue.table(
            [
                dg.TableRecord({"subject": each.subject, "what is wrong": each.message, "what to do": each.fix})
                for each in shown
            ]
        )
        if len(shown) < len(verification.violations):
            metadata["shown"] = (
                f"the first {len(shown)} of {len(verification.violations)}; `governance verify` shows all of them"
            )
    for name, reason in verification.not_run.items():
        metadata[f"{name} could not run"] = reason
    return metadata


def of_check(url: str, key: dg.AssetCheckKey) -> dict[str, Any]:
    """What violates the rule that the check is about, at this moment; empty for a check that is about none."""
    schema, rule = key.asset_key.path[0], key.asset_key.path[-1]
    if schema != "verification" or key.name != f"no_{rule}":
        return {}
    try:
        return as_metadata(verify(url, [rule]))
    except GovernanceError as error:
        return {"violations could not be read": str(error)}
