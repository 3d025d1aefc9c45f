"""Sources that are loaded by themselves: Dagster's assets and sensors on real files and a real database."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from usage_loads import RECENT, query

from orchestration.cli.main import main
from orchestration.defs.ingestion.assets import defs
from orchestration.lib.database.connection import connect
from orchestration.lib.usage.configured import configured_sources
from orchestration.lib.usage.landing import look
from orchestration.lib.usage.ledger import undo
from orchestration.lib.warehouse.refresh import refresh

# a load doesn't depend on the engine
pytestmark = [pytest.mark.usefixtures("emptied_and_refreshed"), pytest.mark.engines("postgres")]


@pytest.fixture
def landing(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that files land in; a moment ago is long enough ago."""
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", database)
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path))
    configure(tmp_path, files="landing/*.jsonl*", settle="0 seconds")
    with connect(database) as connection:
        connection.execute("delete from internal.landed_files")
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


def configure(home: Path, **settings: object) -> None:
    (home / "sources.yml").write_text(json.dumps({"sources": {"traces": {"source": "otlp", **settings}}}))


def spans(*numbers: int) -> str:
    """An export request with a call to a model for each number."""
    sent = [
        {
            "traceId": f"{number:032x}",
            "spanId": f"{number:016x}",
            "startTimeUnixNano": str(int(RECENT.timestamp()) * 1_000_000_000 + number),
            "attributes": [
                {"key": name, "value": {"stringValue": value}}
                for name, value in (("gen_ai.provider.name", "openai"), ("gen_ai.request.model", "gpt-4o"))
            ],
        }
        for number in numbers
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": sent}]}]}) + "\n"


def run() -> tuple[bool, str | None, dict[str, Any] | None]:
    """Materializes the asset: whether that succeeded, the sentence if not, and what it says of a load."""
    definitions = defs()
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, raise_on_error=False
        )
        failures = [
            event.step_failure_data.user_failure_data.description
            for event in result.get_step_failure_events()
            if event.step_failure_data.user_failure_data
        ]
    loads = result.get_asset_materialization_events()
    metadata = {name: value.value for name, value in loads[0].materialization.metadata.items()} if loads else None
    return result.success, failures[0] if failures else None, metadata


def tick() -> dg.RunRequest | str:
    """What the sensor asks for, or why it waits."""
    (sensor,) = defs().sensors or ()
    assert isinstance(sensor, dg.SensorDefinition)
    asked = sensor(dg.build_sensor_context())
    return asked.skip_message or "" if isinstance(asked, dg.SkipReason) else asked  # type: ignore[return-value]


def stored(database: str) -> Sequence[tuple[Any, ...]]:
    return query(database, "select request_id from core.llm_metrics order by 1")


def test_files_are_loaded_as_they_land_and_once(database: str, landing: Path) -> None:
    assert str(tick()).startswith("no file is there as ")
    assert run() == (True, None, None)
    (landing / "a.jsonl").write_text(spans(1, 2))
    asked = tick()
    assert isinstance(asked, dg.RunRequest)
    # until it is loaded the same is asked for, which Dagster does once
    again = tick()
    assert isinstance(again, dg.RunRequest)
    assert again.run_key == asked.run_key
    assert asked.run_key
    (landing / "b.jsonl").write_text(spans(2, 3))
    success, failure, metadata = run()
    assert (success, failure) == (True, None)
    assert metadata is not None
    assert {name: metadata[name] for name in ("read", "loaded", "duplicate", "quarantined", "number of files")} == {
        "read": 4,
        "loaded": 3,
        "duplicate": 1,
        "quarantined": 0,
        "number of files": 2,
    }
    assert metadata["files"] == f"- {landing}/a.jsonl\n- {landing}/b.jsonl"
    assert len(stored(database)) == 3
    # the rollups have it
    assert query(database, "select source, requests_7d from reporting.usage_sources") == [("otlp", 3)]
    assert tick() == "2 files are loaded"
    # nothing new is no materialization, which would make it look fresh
    assert run() == (True, None, None)
    # written on: what it had counts as duplicate
    with (landing / "a.jsonl").open("a") as file:
        file.write(spans(4))
    assert isinstance(tick(), dg.RunRequest)
    success, _, metadata = run()
    assert success
    assert metadata is not None
    assert (metadata["loaded"], metadata["duplicate"]) == (1, 2)


def test_what_is_taken_back_is_gone_from_the_report_and_not_loaded_again(database: str, landing: Path) -> None:
    (landing / "a.jsonl").write_text(spans(1, 2))
    assert run()[0]
    assert query(database, "select requests_7d from reporting.usage_sources") == [(2,)]
    undo(database, str(landing / "a.jsonl"))
    refresh(database)
    assert query(database, "select source from reporting.usage_sources") == []
    assert tick() == "1 file is loaded"
    assert run() == (True, None, None)


def test_a_half_written_file_is_waited_for(database: str, landing: Path) -> None:
    configure(landing.parent, files="landing/*.jsonl*", settle="1 hour")
    whole = spans(1) + spans(2)
    (landing / "a.jsonl").write_text(whole[:-40])
    # what a program sets as its time says nothing of who still writes
    os.utime(landing / "a.jsonl", (1, 1))
    assert tick() == "waiting for 1 file written a moment ago"
    assert run() == (True, None, None)
    assert stored(database) == []
    # under a name that says so it is left alone however long it lies there
    configure(landing.parent, files="landing/*", settle="0 seconds")
    (landing / "a.jsonl").rename(landing / "a.jsonl.part")
    (landing / ".b.jsonl.Xy7").write_text(whole)
    (landing / "folder.jsonl").mkdir()
    assert str(tick()).startswith("no file is there as ")
    (landing / "a.jsonl.part").write_text(whole)
    (landing / "a.jsonl.part").rename(landing / "a.jsonl")
    assert isinstance(tick(), dg.RunRequest)
    assert run()[0]
    assert len(stored(database)) == 2


def test_a_bad_file_is_reported_once_and_holds_up_nothing(database: str, landing: Path) -> None:
    (landing / "bad.jsonl.gz").write_bytes(b"\x1f\x8b\x08 no gzip")
    (landing / "good.jsonl").write_text(spans(1))
    success, failure, metadata = run()
    assert not success
    assert failure is not None
    assert failure.startswith(f"{landing}/bad.jsonl.gz ")
    assert failure.endswith("It isn't tried again before the file is written anew or sources.yml changes")
    assert "\n" not in failure
    assert metadata is not None
    assert metadata["loaded"] == 1
    assert stored(database) == [("0000000000000001",)]
    waits = str(tick())
    assert waits.startswith(f"1 file is loaded; refused: {landing}/bad.jsonl.gz ")
    assert run() == (True, None, None)
    # repaired
    (landing / "bad.jsonl.gz").unlink()
    (landing / "bad.jsonl").write_text(spans(2))
    assert isinstance(tick(), dg.RunRequest)
    assert run()[0]


def test_a_file_of_which_every_record_is_refused_says_why(database: str, landing: Path) -> None:
    (landing / "old.jsonl").write_text(spans(1).replace(str(int(RECENT.timestamp()))[:4], "1000"))
    success, failure, metadata = run()
    assert (success, metadata) == (False, None)
    assert failure is not None
    assert failure.startswith(
        f"every record of {landing}/old.jsonl was refused (time is older than the raw retention): internal."
    )
    assert query(database, "select count(*) from internal.quarantine") == [(1,)]
    assert query(database, "select source, quarantined_share from reporting.usage_sources") == [("otlp", 1)]
    assert not isinstance(tick(), dg.RunRequest)
    # read in another way it may be good
    configure(landing.parent, files="landing/*.jsonl*", settle="0 seconds", set={"time": RECENT.isoformat()})
    assert isinstance(tick(), dg.RunRequest)
    assert run()[0]
    assert len(stored(database)) == 1


def test_a_database_that_is_away_is_no_fault_of_the_file(
    database: str, landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (landing / "a.jsonl").write_text(spans(1))
    with connect(database) as connection:
        connection.execute("alter table core.llm_metrics rename to gone")
        try:
            success, failure, _ = run()
        finally:
            connection.execute("alter table core.gone rename to llm_metrics")
    assert not success
    assert failure is not None
    assert "run `governance build` first" in failure
    assert len(look(database, configured_sources()[0]).pending) == 1
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    assert "127.0.0.1" in str(tick())


def test_a_database_that_usage_is_read_from_is_named_by_a_variable(landing: Path) -> None:
    (landing.parent / "sources.yml").write_text(
        "sources: {gateway: {source: litellm, url_variable: GATEWAY_OF_THE_TEST}}"
    )
    success, failure, _ = run()
    assert (success, failure) == (
        False,
        "the variable GATEWAY_OF_THE_TEST isn't set, which has the URL of gateway in sources.yml: set it, for "
        "Dagster before it starts",
    )


def test_the_command_shows_what_came_and_what_waits(
    database: str, landing: Path, run_command: Callable[..., str]
) -> None:
    assert run_command() == f"traces takes {landing}/*.jsonl*: no file so far\n"
    (landing / "a.jsonl").write_text(spans(1, 2))
    run()
    (landing / "b.jsonl").write_text(spans(3))
    (landing / "bad.jsonl").write_text("no JSON\n")
    run()
    (landing / "c.jsonl").write_text(spans(4))
    table, *more = run_command().split("\n", 2)
    assert table.split("  ")[0] == "source"
    # nothing was loaded before, so nothing is late, and one of four records was refused
    assert " ".join(more[0].split()) == "otlp 3 days 0 h ago 0 min ago 0 3 3 - - 100.0 % 100.0 % 0.0 % 25.0 %"
    state, why = more[1].splitlines()
    assert state == f"traces takes {landing}/*.jsonl*: 2 loaded, 1 to load, 1 refused"
    assert why.startswith(f"  every record of {landing}/bad.jsonl was refused (")
    said = json.loads(CliRunner().invoke(main, ["sources", "--json"]).stdout)
    assert [(each["source"], each["requests_7d"], each["quarantined_share"]) for each in said["usage"]] == [
        ("otlp", 3, "0.25")
    ]
    (files,) = said["by_itself"]
    assert (files["loaded"], files["to_load"], list(files["refused"])) == (
        2,
        [f"{landing}/c.jsonl"],
        [f"{landing}/bad.jsonl"],
    )


def test_the_command_loads_as_dagster_does(database: str, landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (landing / "a.jsonl").write_text(spans(1))
    result = CliRunner().invoke(main, ["sources", "--load"])
    assert (result.exit_code, result.stderr) == (
        0,
        "traces: read 1 = loaded 1 + duplicate 0 + changed 0 + quarantined 0\n",
    )
    assert query(database, "select requests_7d from reporting.usage_sources") == [(1,)]
    (landing / "bad.jsonl.gz").write_bytes(b"\x1f\x8b\x08 no gzip")
    result = CliRunner().invoke(main, ["sources", "--load"])
    assert result.exit_code == 1
    assert f"  {landing}/bad.jsonl.gz " in result.stdout
    configure(landing.parent, files="landing/*.jsonl*", settle="0 seconds", schedule="off")
    (landing / "c.jsonl").write_text(spans(2))
    assert CliRunner().invoke(main, ["sources", "--load"]).exit_code == 0
    assert len(stored(database)) == 1
    monkeypatch.setenv("GOVERNANCE_HOME", str(landing))
    monkeypatch.delenv("GOVERNANCE_SOURCES", raising=False)
    nothing = CliRunner().invoke(main, ["sources", "--load"])
    assert (nothing.exit_code, nothing.stderr) == (
        0,
        f"nothing is loaded by itself: there is no file {landing}/sources.yml, see docs/sources.md\n",
    )


@pytest.fixture
def run_command() -> Callable[..., str]:
    def run_sources() -> str:
        result = CliRunner().invoke(main, ["sources"])
        assert result.exit_code == 0, result.stderr
        return result.stdout

    return run_sources
