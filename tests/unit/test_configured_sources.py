"""What sources.yml may say, and the one sentence where it makes no sense."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration.defs.ingestion.assets import defs
from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.configured import configured_sources

LITELLM = "gateway: {source: litellm, url_variable: LITELLM_URL"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path))
    monkeypatch.delenv("GOVERNANCE_SOURCES", raising=False)
    return tmp_path


def write(folder: Path, text: str) -> None:
    (folder / "sources.yml").write_text(f"sources:\n  {text}\n")


def specs(definitions: dg.Definitions) -> list[dg.AssetSpec]:
    """The assets, without those of others that they depend on."""
    found = [spec for spec in definitions.resolve_all_asset_specs() if spec.key.path[0] == "usage"]
    return sorted(found, key=lambda spec: spec.key)


def test_nothing_is_configured_and_nothing_is_there() -> None:
    assert configured_sources() == []
    found = defs()
    assert [found.assets, found.sensors, found.schedules] == [[], [], []]


def test_everything_that_can_be_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "etc").mkdir()
    (home / "etc" / "usage.yml").write_text("""
sources:
  gateway:
    source: litellm
    url_variable: LITELLM_URL
    schedule: "*/20 * * * *"
    fresh_within: 3 hours
    map: {team_id: team_id}
    set: {application: chat, region: 7}
  traces:
    source: otlp
    files: landing/*.jsonl.gz
    settle: 5 minutes
    ignore: [session_id]
  own:
    files: /exports/**/*.csv
    format: csv
    schedule: off
    map_value: {status: {degraded: error}}
""")
    monkeypatch.setenv("GOVERNANCE_SOURCES", str(home / "etc" / "usage.yml"))
    gateway, traces, own = configured_sources()
    assert (gateway.source, gateway.url_variable, gateway.files) == ("litellm", "LITELLM_URL", None)
    assert (gateway.schedule, gateway.is_off, gateway.fresh_within) == ("*/20 * * * *", False, timedelta(hours=3))
    assert (gateway.mapping, gateway.constants) == ({"team_id": "team_id"}, {"application": "chat", "region": "7"})
    # a relative path begins where the file lies
    assert traces.files == str(home / "etc" / "landing" / "*.jsonl.gz")
    assert (traces.settle, traces.fresh_within, traces.ignored) == (
        timedelta(minutes=5),
        timedelta(days=1),
        ("session_id",),
    )
    assert (own.source, own.is_off, own.schedule, own.file_format) == (None, True, None, "csv")
    assert own.values == {"status": {"degraded": "error"}}

    found = defs()
    assert [spec.key.to_user_string() for spec in specs(found)] == ["usage/gateway", "usage/own", "usage/traces"]
    (schedule,) = found.schedules or ()
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert (schedule.name, schedule.cron_schedule) == ("usage_gateway_schedule", "*/20 * * * *")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert {(sensor.name, sensor.default_status) for sensor in found.sensors or ()} == {
        ("usage_traces_sensor", dg.DefaultSensorStatus.RUNNING),
        ("usage_own_sensor", dg.DefaultSensorStatus.STOPPED),
    }


def test_each_asset_is_described_and_says_how_fresh_it_should_be(home: Path) -> None:
    write(home, "traces: {source: otlp, files: /landing/*.jsonl, fresh_within: 2 hours}")
    (spec,) = specs(defs())
    assert spec.description == "Usage of otlp in files that land as /landing/*.jsonl; sources.yml says so."
    assert (spec.group_name, spec.owners) == ("ingestion", ["team:platform"])
    assert [dependency.asset_key.path for dependency in spec.deps] == [["core", "llm_metrics"]]
    assert spec.freshness_policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=2))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "gateway: {source: litelm, url_variable: U}",
            "gateway names a source litelm that isn't known: there are otlp, ",
        ),
        ("gateway: {source: litellm}", "gateway needs `files` .* or `url_variable`, one of them"),
        (
            "gateway: {source: litellm, url_variable: U, files: x}",
            "gateway needs `files` .* or `url_variable`, one of them",
        ),
        ("traces: {source: otlp, url_variable: U}", "traces can't be read from a database: only litellm can"),
        (f"{LITELLM}, url: x}}", "gateway has no setting url: the settings are source, files, url_variable, "),
        (
            "gateway: {source: litellm, url_variable: 'postgresql://h/d'}",
            "gateway needs in `url_variable` the name of a variable that has the URL, not the URL itself",
        ),
        ("Gateway: {files: x}", "Gateway is no name: use small letters, digits and _, a letter first"),
        ("gateway: 7", "gateway needs `source` and `files` or `url_variable` below it"),
        ("own: {files: 7}", "own has files: 7, which is no text"),
        (
            "own: {files: x, settle: 60}",
            "own has settle: 60, which is no span of time such as 90 seconds, 3 hours or 1 day",
        ),
        (
            "own: {files: x, schedule: '5 * * * *'}",
            "own has files, which are loaded as they appear: `schedule` can only be off",
        ),
        ("own: {files: x, format: xml}", "own has a format xml: it is one of csv, jsonl, json"),
        ("own: {files: x, map: {tiem: t}}", "own can't be mapped so: there is no target tiem: did you mean time\\? "),
        ("own: {files: x, map: [time]}", "own has map: \\['time'\\], which is no table of names"),
        ("own: {files: x, map: {time: [a]}}", "own has map: .*, which is no table of texts"),
        ("own: {files: x, map_value: {status: bad}}", "own has map_value.status: 'bad', which is no table of texts"),
        ("own: {files: x, ignore: time}", "own has ignore: 'time', which is no list of names"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(home: Path, text: str, sentence: str) -> None:
    write(home, text)
    with pytest.raises(GovernanceError, match=f"^{home}/sources.yml: {sentence}") as error:
        configured_sources()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("sources: [", "is no YAML: while parsing"),
        ("- traces", "needs `sources:` and nothing else, with a name for each source below it"),
        ("sources: {}\nmore: 1", "needs `sources:` and nothing else"),
        ("sources:", "needs `sources:` and nothing else"),
    ],
)
def test_a_file_that_is_none_is_refused(home: Path, content: str, sentence: str) -> None:
    (home / "sources.yml").write_text(content)
    with pytest.raises(GovernanceError, match=f"^{home}/sources.yml {sentence}"):
        configured_sources()


def test_a_file_that_was_asked_for_must_be_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_SOURCES", str(home / "none.yml"))
    with pytest.raises(GovernanceError, match=f"there is no file {home}/none.yml, which GOVERNANCE_SOURCES names"):
        configured_sources()


def test_a_time_that_is_none_is_one_sentence(home: Path) -> None:
    write(home, f"{LITELLM}, schedule: hourly}}")
    with pytest.raises(GovernanceError, match="gateway in sources.yml has the schedule 'hourly', which is no time"):
        defs()
