"""Finds the owners of staged rows before they are inserted: who is meant by what their source says."""
# ruff: noqa: S608 - statements are built of this module's own words

from collections.abc import Collection, Sequence

from orchestration.lib.database.connection import Connection
from orchestration.lib.owners.resolution import (
    GIVEN,
    OWNERS,
    UNRESOLVED,
    names_owners,
    owner_said,
    resolution,
)


class StagedOwners:
    """Fills the temporary table ingest_owners, which is empty again at the end of each transaction.

    It has the line, user_id, team_id, api_key_id and `marks`, what metadata is to say of them. `source` is the
    expression for the source of a row of ingest_rows, `targets` what its columns are.
    """

    def __init__(self, connection: Connection, targets: Collection[str], source: str) -> None:
        self._connection, self._source = connection, source
        self._may_name = bool({"metadata", *OWNERS} & set(targets))
        self._metadata = "r.metadata" if "metadata" in targets else "null::jsonb"
        self._given = {column: f"r.{column}" if column in targets else "null::uuid" for column in OWNERS}

    def resolve(self, lines: str) -> bool:
        """Whether the source names owners among the lines, in a transaction that is open."""
        if not self._may_name:
            return False
        named = f"{names_owners(self._metadata, 'r.kept')} and r.reasons is null and r.{lines}"
        [(are_named,)] = self._connection.execute(f"select exists (select from ingest_rows as r where {named})")
        if not are_named:
            return False
        self._connection.execute(
            "create temporary table if not exists ingest_owners"
            " (line bigint, user_id uuid, team_id uuid, api_key_id uuid, marks jsonb) on commit delete rows"
        )
        self._connection.execute(
            f"""
            insert into ingest_owners (line, user_id, team_id, api_key_id, marks)
            select
                o.line, o.user_id, o.team_id, o.api_key_id,
                nullif(jsonb_strip_nulls(jsonb_build_object(
                    '{UNRESOLVED}', o.unresolved, '{GIVEN}', {self._marks(list(self._given.values()))}
                )), '{{}}')
            from ({resolution(self._rows(named), "line")}) as o
            inner join ingest_rows as r using (line)
            """
        )
        return True

    def _rows(self, named: str) -> str:
        given = ", ".join(f"{value} as {column}" for column, value in self._given.items())
        return f"""
            select r.line, r.time, {self._source} as source, {owner_said(self._metadata, "r.kept")} as owner, {given}
            from ingest_rows as r
            where {named}
        """

    @staticmethod
    def _marks(given: Sequence[str]) -> str:
        """The columns whose ids the source gave itself."""
        names = ", ".join(
            f"case when {value} is not null then '{column}' end" for column, value in zip(OWNERS, given, strict=True)
        )
        return f"to_jsonb(nullif(array_remove(array[{names}], null), '{{}}'))"
