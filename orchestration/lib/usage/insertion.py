"""How the rows of a batch come into the table: with owners and cost, and plainly where nothing is there yet."""

import psycopg

from orchestration.lib.database.connection import Connection
from orchestration.lib.usage.costing import StagedCosts
from orchestration.lib.usage.ledger import Inserted
from orchestration.lib.usage.owners import StagedOwners
from orchestration.lib.usage.reading import Reading


class Insertion:
    """Inserts the batches of one source into the table `into`.

    `on conflict` makes an insertion a fifth dearer, also where nothing conflicts. So it comes only after a plain one
    met a duplicate, and then stays for some batches without any: for twice as many each time, so that duplicates far
    apart cost little either.
    """

    def __init__(self, connection: Connection, reading: Reading, into: str, *, keeps_prices: bool) -> None:
        self._connection, self._reading, self._into = connection, reading, into
        self._owners = StagedOwners(connection, reading.targets, reading.source())
        self._costs = StagedCosts(connection, reading.targets, reading.currency, keeps_prices=keeps_prices)
        self._met = 0
        self._careful = 0

    def insert(self, lines: str, good: int) -> Inserted:
        """Inserts what isn't there yet of the `good` rows among the lines, in a transaction that is open."""
        named = self._owners.resolve(lines)
        self._costs.compute(lines, has_owners=named)
        if not self._careful:
            try:
                with self._connection.transaction():
                    return self._run(lines, skips_duplicates=False, named=named)
            except psycopg.errors.UniqueViolation:
                self._met += 1
                self._careful = 2**self._met
        inserted = self._run(lines, skips_duplicates=True, named=named)
        if inserted.rows == good:
            self._careful -= 1
        return inserted

    def _run(self, lines: str, *, skips_duplicates: bool, named: bool) -> Inserted:
        statement = self._reading.insertion(lines, self._into, skips_duplicates=skips_duplicates, has_owners=named)
        [row] = self._connection.execute(statement)
        return Inserted(*row)
