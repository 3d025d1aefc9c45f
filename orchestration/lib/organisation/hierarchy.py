"""What a tree of teams must be, judged as it would be after an import."""

from collections.abc import Mapping

from orchestration.lib.organisation.stated import Place, Problems, listed

LEVELS = 10


def check_tree(parents: Mapping[str, str | None], places: Mapping[str, Place], problems: Problems) -> None:
    """Notes cycles and more than ten levels. `places` has who says something of a team."""
    known: dict[str, int] = {}
    is_tree = True
    for slug in parents:
        path: list[str] = []
        team: str | None = slug
        while team is not None and team not in known and team not in path:
            path.append(team)
            team = parents.get(team)
        if team is not None and team in path:
            cycle = path[path.index(team) :]
            said = next((places[each] for each in cycle if each in places), None)
            what = f"{listed(cycle)} are below one another in a circle" if cycle[1:] else f"{team} is below itself"
            problems.add(said or "teams", f"{what}; give it another parent")
            known.update(dict.fromkeys(path, 0))
            is_tree = False
            continue
        level = known[team] if team is not None else 0
        for each in reversed(path):
            level += 1
            known[each] = level
    if is_tree:
        _check_depth(known, parents, places, problems)


def _check_depth(
    levels: Mapping[str, int], parents: Mapping[str, str | None], places: Mapping[str, Place], problems: Problems
) -> None:
    for slug, level in levels.items():
        if level != LEVELS + 1:
            continue
        # the nearest one that the files place: what it was put below is too deep
        team: str | None = slug
        while team is not None and team not in places:
            team = parents.get(team)
        place = places[team] if team is not None else "teams"
        problems.add(place, f"team {slug} would be on level {level}; {LEVELS} are allowed: put it further up")
