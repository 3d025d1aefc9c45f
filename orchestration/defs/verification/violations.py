"""What violates a rule, as metadata of its check."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from orchestration.defs.retention.figures import figures_of_rules
from orchestration.lib.errors import GovernanceError
from orchestration.lib.evidence.result import Verification, of_rule
from orchestration.lib.verification.run import verify

# more than a page of the browser says less
_SHOWN = 10


def as_metadata(verification: Verification) -> dict[str, Any]:
    """How many violations there are, and a table of the first ones: what is wrong, and what to do about it."""
    metadata: dict[str, Any] = {"violations": len(verification.violations), "accepted": len(verification.excused)}
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


def rule_of(key: dg.AssetCheckKey) -> str | None:
    """The rule that the check is about, None for one that is about none."""
    schema, rule = key.asset_key.path[0], key.asset_key.path[-1]
    return rule if schema == "verification" and key.name == f"no_{rule}" else None


def of_rules(url: str, rules: Sequence[str], *, program: str | None = None) -> dict[str, dict[str, Any]]:
    """What violates each of the rules at this moment, as metadata, with figures; recorded as a run of `program`."""
    if not rules:
        return {}
    try:
        verification = verify(url, rules, program=program)
    except GovernanceError as error:
        return {rule: {"violations could not be read": str(error)} for rule in rules}
    figures = figures_of_rules(url, rules)
    return {rule: as_metadata(of_rule(verification, rule)) | figures.get(rule, {}) for rule in rules}
