"""What the command line has dbt do is kept in the database, for whoever may write there."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY
from urllib.parse import urlsplit, urlunsplit

import pytest
from engines import Engine

from orchestration.lib.database.connection import connect
from orchestration.lib.dbt.results import NodeResult, record_results, results_since

AT = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def done(node: str, status: str, failures: int | None = None) -> Any:
    """One of dbt's results."""
    return SimpleNamespace(
        node=SimpleNamespace(unique_id=node),
        status=status,
        failures=failures,
        execution_time=0.5,
        timing=[SimpleNamespace(completed_at=AT)],
    )


@pytest.fixture
def emptied(database: str) -> str:
    with connect(database) as connection:
        connection.execute("delete from internal.dbt_results")
    return database


def since(url: str, recorded_at: datetime | None = None) -> list[NodeResult]:
    with connect(url) as connection:
        return results_since(connection, recorded_at)


def test_the_last_result_of_each_node_is_kept(emptied: str) -> None:
    many = [done(f"model.governance.m{n:03}", "success") for n in range(250)]
    record_results(emptied, [*many, done("test.governance.t", "fail", 3), done("seed.governance.s", "error")])
    first = since(emptied)
    assert {each.node for each in first} == {each.node.unique_id for each in many} | {
        "test.governance.t",
        "seed.governance.s",
    }
    [test] = [each for each in first if each.node == "test.governance.t"]
    assert test == NodeResult("test.governance.t", "fail", 3, 0.5, AT, ANY)

    record_results(emptied, [done("test.governance.t", "pass", 0)])
    [again] = since(emptied, first[-1].recorded_at)
    assert (again.node, again.status, again.failures) == ("test.governance.t", "pass", 0)
    assert since(emptied, again.recorded_at) == []
    assert len(since(emptied)) == len(first)


def test_what_was_not_done_is_not_recorded(emptied: str) -> None:
    record_results(emptied, [done("model.governance.m", "success")])
    before = since(emptied)
    record_results(
        emptied,
        [
            done("model.governance.m", "skipped"),
            done("model.governance.n", "skipped"),
            done("operation.governance.governance-on-run-start-0", "success"),
            done("unit_test.governance.m.u", "pass"),
        ],
    )
    assert since(emptied) == before


def test_a_database_that_keeps_nothing_is_left_alone(engine: Engine) -> None:
    with engine.empty("results") as url:
        record_results(url, [done("model.governance.m", "success")])
        assert since(url) == []


@pytest.mark.engines("postgres")
def test_a_role_that_only_reads_records_nothing(emptied: str) -> None:
    with connect(emptied) as owner:
        owner.execute("drop role if exists results_reader; create role results_reader login password 'x'")
        try:
            url = urlsplit(emptied)
            reader = urlunsplit(url._replace(netloc=f"results_reader:x@{url.hostname}:{url.port}"))
            record_results(reader, [done("model.governance.m", "success")])
            owner.execute("grant usage on schema internal to results_reader")
            owner.execute("grant select on internal.dbt_results to results_reader")
            record_results(reader, [done("model.governance.m", "success")])
        finally:
            owner.execute("drop owned by results_reader; drop role results_reader")
    assert since(emptied) == []
