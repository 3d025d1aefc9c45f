"""The figures behind the checks of retention, on each kind of storage."""

from engines import Engine

from orchestration.defs.retention.figures import figures_of_rules
from orchestration.lib.database.connection import connect
from orchestration.lib.warehouse.refresh import refresh
from orchestration.lib.warehouse.retention import retain
from orchestration.lib.warehouse.retention_figures import retention_figures

RULES = ("parts_past_retention", "late_compression", "missing_partitions_ahead", "failing_jobs", "missing_functions")


def test_figures_are_those_of_the_tables(database: str, engine: Engine) -> None:
    with connect(database) as connection:
        connection.execute(
            "insert into core.llm_metrics (time, request_id, provider, model)"
            " select now() - age, 'r' || age, 'p', 'm' from (values (interval '25 days'), ('3 hours')) as ages (age)"
        )
        if engine.name == "timescaledb":
            connection.execute(
                "select compress_chunk(c) from show_chunks('core.llm_metrics', now() - interval '9 days') as c"
            )
    refresh(database)
    with connect(database) as connection:
        # what the rollups keep outlives it
        connection.execute("delete from core.llm_metrics where time < now() - interval '20 days'")
    retain(database)
    figures = retention_figures(database)
    llm, system = figures.series
    assert (llm.series, llm.retention, system.series, system.retention) == (
        "llm_metrics",
        "2 years",
        "system_metrics",
        "1 year",
    )
    with connect(database) as connection:
        [(oldest, floor)] = connection.execute(
            "select min(time), internal.raw_floor('llm_metrics') from core.llm_metrics"
        ).fetchall()
    assert llm.oldest_row == oldest
    assert llm.dropped_before is not None
    assert abs((llm.dropped_before - floor).total_seconds()) < 60
    assert llm.parts.count >= 1
    assert llm.parts.bytes > 0
    assert llm.parts.until is not None
    assert system.oldest_row is None
    if engine.name == "postgres":
        assert (llm.parts.rows_in_default, llm.parts.compress_after, figures.jobs) == (0, None, [])
    else:
        assert llm.parts.rows_in_default is None
    if engine.name == "timescaledb":
        assert llm.parts.compressed == 1
        assert llm.parts.bytes_before
        assert llm.parts.bytes_after
        assert llm.parts.compress_after == "7 days"
        assert {job.what for job in figures.jobs} >= {
            "llm_metrics: policy_retention",
            "llm_metrics: policy_compression",
        }
    shown = figures_of_rules(database, RULES)
    assert set(shown) == set(RULES) - {"missing_functions"}
    assert [record.data["table"] for record in shown["late_compression"]["figures"].records] == [
        "core.llm_metrics",
        "core.system_metrics",
    ]
