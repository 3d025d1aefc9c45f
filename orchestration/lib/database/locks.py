"""Keys of the advisory locks that Python takes; those of dbt are in macros/bootstrap/locks.sql."""

from enum import IntEnum


class Lock(IntEnum):
    """Each is a key of its own; LOAD is taken with the number of the load as second key."""

    DRIFT_REFERENCE = 727003
    """The session that holds it builds the database that drift compares with."""
    BUILD = 727004
    """One build, migration or rebuild by the command line at a time."""
    DBT_RESULTS = 727005
    """Held until the commit by who records results, so that recorded_at rises in the order of the commits."""
    DEMO = 727006
    """One loading of the demo organisation at a time."""
    REPRICE = 727027
    """One repricing at a time."""
    CORRECTIONS = 727023
    """Held until the commit by a batch that changes requests, or looks for those that another source delivers."""
    PRUNE = 727028
    """Held from the deletion of entries of the audit trail until that is signed; shared by who begins to verify it."""
    LOAD = 5714201
    """Held by the session that loads, so nobody takes back what is still coming."""
