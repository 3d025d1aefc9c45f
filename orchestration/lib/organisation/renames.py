"""People whose address has changed: found again by the id of the directory, or by the address until now."""

from collections.abc import Mapping
from dataclasses import replace

from orchestration.lib.organisation.known import Known, Row
from orchestration.lib.organisation.stated import Problems, Stated


def with_new_addresses(known: Known, stated: Stated, problems: Problems) -> Known:
    """What is known, with those people called by their new address already; their rows still have the old one."""
    new = _renames(known, stated, problems)
    if not new:
        return known

    def called(email: str) -> str:
        return new.get(email, email)

    def owned(rows: Mapping[str, Row], owner: str) -> dict[str, Row]:
        return {
            key: replace(row, fields={**row.fields, owner: called(str(row.fields[owner]))})
            if row.fields[owner]
            else row
            for key, row in rows.items()
        }

    return replace(
        known,
        people={called(email): row for email, row in known.people.items()},
        teams=owned(known.teams, "owner"),
        keys=owned(known.keys, "user"),
        memberships={(called(email), team): found for (email, team), found in known.memberships.items()},
        grants={(called(email), role, team): row for (email, role, team), row in known.grants.items()},
    )


def _renames(known: Known, stated: Stated, problems: Problems) -> dict[str, str]:
    """New addresses by old ones."""
    new: dict[str, str] = {}
    for email, entry in stated.people.items():
        former = entry.said.get("former_email")
        if former is None or former == email:
            former = known.directory_ids.get(str(entry.said.get("metadata.scim_id")))
            if email in known.people or former in stated.people:
                continue
        if former not in known.people or former is None:
            continue
        if email in known.people:
            problems.add(entry.place, f"{email} and {former} are both known; leave former_email out")
        elif former in stated.people:
            problems.add(entry.place, f"{former} became {email} and has a row too; leave one of the two out")
        elif new.setdefault(str(former), email) != email:
            problems.add(entry.place, f"{former} became {new[str(former)]} already; leave one of the two out")
    return new
