"""Which columns of a file with a header fill what."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.hints import option_for
from orchestration.lib.usage.record import REQUIRED, TARGETS


def match_columns(
    source: str,
    header: Sequence[str],
    mapping: Mapping[str, str],
    constants: Mapping[str, str],
    ignored: Collection[str] = (),
) -> dict[str, int]:
    """Position of the column for each target that a file with this header fills.

    A column is named by `mapping`, else by the target's own name, unless a constant stands in or it is `ignored`.
    Raises GovernanceError if a mapped or required column is missing, or its name stands in the header twice.
    """
    own = [name for name in TARGETS if name in header and name not in constants and name not in ignored]
    wanted = {name: name for name in own} | dict(mapping)
    has = f"{source} has the columns {_listed(header)}"
    if absent := [column for column in (*wanted.values(), *ignored) if column not in header]:
        raise GovernanceError(f"{source} has no column {_listed(absent)}: {has}")
    if missing := [name for name in REQUIRED if name not in wanted and name not in constants]:
        likely = " ".join(option_for(name, header) for name in missing)
        raise GovernanceError(
            f"nothing in {source} is known to be the {_listed(missing)}: say so with {likely} or "
            f"--set {missing[0]}=VALUE ({has})"
        )
    if doubled := [column for column in wanted.values() if header.count(column) > 1]:
        raise GovernanceError(f"the header of {source} names {_listed(doubled)} more than once: rename one of them")
    return {name: header.index(wanted[name]) for name in TARGETS if name in wanted}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
