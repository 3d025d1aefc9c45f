"""What failed in a build, in the words of dbt and of the rules that are violated."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliInvocation

from orchestration.lib.words import counted

_FAILED = ("error", "fail", "runtime error")
_SHOWN = 10


def what_failed(build: DbtCliInvocation, found: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The nodes that failed, each with its reason; None where dbt came to none. `found` is the metadata of rules."""
    try:
        results = build.get_artifact("run_results.json")["results"]
    except OSError:
        return None
    # what a rule says first, and always in one order, for the cause of an alert is known by the text
    failed = sorted(
        (each for each in results if each["status"] in _FAILED), key=lambda each: (not _rule(each, found), _name(each))
    )
    if not failed:
        return None
    lines = [f"{_name(each)}: {_reason(each, found)}" for each in failed[:_SHOWN]]
    more = [f"and {len(failed) - _SHOWN} more"] if len(failed) > _SHOWN else []
    checks = sum(each["unique_id"].startswith("test.") for each in failed)
    nodes = [counted(checks, "check")] * bool(checks) + [counted(len(failed) - checks, "model")] * (
        checks < len(failed)
    )
    return f"{' and '.join(nodes)} failed:\n" + "\n".join([*lines, *more])


def _name(result: Mapping[str, Any]) -> str:
    return str(result["unique_id"]).split(".")[2]


def _reason(result: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]) -> str:
    count = int(result["failures"] or 1)
    if (shown := _rule(result, found)) is None:
        if result["unique_id"].startswith("test.") and result["status"] == "fail":
            return f"{counted(count, 'row')} that should not be there"
        return " ".join(str(result["message"] or result["status"]).split())
    first = shown.records[0].data
    more = f" And {count - 1:,} more." if count > 1 else ""
    return f"{first['subject']}: {first['what is wrong']} {first['what to do']}{more}"


def _rule(result: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]) -> dg.TableMetadataValue | None:
    """The violations, of a rule that has some."""
    shown = found.get(_name(result).removeprefix("no_"), {}).get("what is wrong")
    return shown if isinstance(shown, dg.TableMetadataValue) else None
