"""A verification as a whole: the collectors that what is asked needs, in their order."""

from collections.abc import Callable, Sequence
from functools import partial

from orchestration.lib.evidence.result import Collector, Verification
from orchestration.lib.evidence.store import collect
from orchestration.lib.identity.passwords import PASSWORDS
from orchestration.lib.verification.audit import AUDIT_TRAIL
from orchestration.lib.verification.comparison import CLOSED_DAYS
from orchestration.lib.verification.drift.find import find_drift
from orchestration.lib.verification.probes import probe_database
from orchestration.lib.verification.role_probes import probe_roles
from orchestration.lib.verification.rules import ask_rules, chosen_rules

# what Python finds out before the rule is asked that shows it, for some seconds each
_SEARCHES = ((PASSWORDS, 4), (CLOSED_DAYS, 3), (AUDIT_TRAIL, 2))


def verify(
    url: str,
    select: Sequence[str] = (),
    *,
    timeout_seconds: float = 30,
    deep: bool = False,
    probe: bool = False,
    program: str | None = "governance verify",
    notify: Callable[[str], None] = lambda message: None,
) -> Verification:
    """Ask the rules whose name or family matches one of the patterns of `select` (default: all), each for itself.

    `deep` compares the catalog too, `probe` tries what must be refused, also as each role of the database. Passwords,
    closed days and the audit trail are looked at, and the run is recorded as one of `program` (None: not at all), by a
    role that may; one that only reads leaves no trace. Raises GovernanceError where nothing can be asked.
    """
    rules = chosen_rules(url, select)
    asked = {rule.rule for rule in rules}
    collectors: list[Collector] = [
        partial(search.collect, seconds=seconds) for search, seconds in _SEARCHES if search.rule in asked
    ]
    collectors.append(partial(ask_rules, rules=rules, timeout_seconds=timeout_seconds))
    if deep:
        collectors.append(partial(find_drift, notify=notify))
    if probe:
        collectors += [probe_database, probe_roles]
    return collect(url, collectors, program=program)
