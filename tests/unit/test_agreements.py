"""What SQL and Python have to say the same of."""

import ast
import re
from pathlib import Path
from typing import Any

from orchestration.lib.database.connection import DATABASE_SETTINGS
from orchestration.lib.database.locks import Lock
from orchestration.lib.evidence.result import SEVERITIES
from orchestration.lib.settings import project_dir
from orchestration.lib.usage.record import TARGETS

MACROS = project_dir() / "macros"
TAKES_LOCK = re.compile(r"pg_(?:try_)?advisory_(?:xact_)?(?:un)?lock\(([^,)]*)")


def returned(path: Path, macro: str) -> dict[str, Any]:
    """The dict that a macro returns."""
    return dict(
        ast.literal_eval(re.findall(r"{[^{}]*}", path.read_text().split(f"macro {macro}(")[1].split("return(")[1])[0])
    )


def test_keys_of_advisory_locks_are_distinct() -> None:
    of_dbt = returned(MACROS / "bootstrap" / "locks.sql", "lock_key")
    keys = [*of_dbt.values(), *(lock.value for lock in Lock)]
    assert len(keys) == len(set(keys)) == len(of_dbt) + len(Lock.__members__)


def test_no_advisory_lock_has_a_key_that_is_not_registered() -> None:
    """Macros take `lock_key(…)`, Python a parameter that is a Lock."""
    of_macros = {
        key.strip("{ '~") for path in MACROS.rglob("*.sql") for key in TAKES_LOCK.findall(path.read_text())
    } - {"one_at_a_time"}
    assert of_macros
    assert all(key.startswith("lock_key('") for key in of_macros), of_macros
    of_python = {
        key for path in (project_dir() / "orchestration").rglob("*.py") for key in TAKES_LOCK.findall(path.read_text())
    }
    assert of_python == {"%s"}


def test_python_and_dbt_set_the_same_search_path() -> None:
    of_dbt = returned(MACROS / "bootstrap" / "database_settings.sql", "database_settings")
    assert of_dbt.items() <= DATABASE_SETTINGS.items()
    assert "search_path" in of_dbt


def listed(path: Path, macro: str) -> list[str]:
    """The list of texts that a macro returns."""
    body = path.read_text().split(f"macro {macro}(")[1].split("endmacro")[0]
    return [str(each) for each in ast.literal_eval(re.findall(r"\[[^\]]*\]", body)[0])]


def test_python_and_dbt_have_the_same_severities_and_token_classes() -> None:
    assert listed(MACROS / "bootstrap/internal/create_internal_verification.sql", "severities") == list(SEVERITIES)
    classes = listed(MACROS / "timeseries/usage_measures.sql", "token_classes")
    assert [name for name in TARGETS if name.endswith("_tokens")] == classes
