"""When jobs run by the clock, and what the environment can say about it."""

import dagster as dg
import pytest
import yaml

from orchestration.defs import scheduled as module
from orchestration.defs.page import in_words
from orchestration.defs.scheduled import (
    NOT_BUILT,
    SCHEDULED,
    ZONE,
    built_database,
    check_settings,
    run_unless_unbuilt,
    scheduled,
)
from orchestration.lib.errors import GovernanceError, NotBuiltError
from orchestration.lib.settings import project_dir

REFRESH = "GOVERNANCE_REFRESH_SCHEDULE"
RUNNING, STOPPED = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ("*/15 * * * *", "UTC", RUNNING)),
        # docker-compose.yml hands on what isn't set as nothing
        ({REFRESH: "", ZONE: ""}, ("*/15 * * * *", "UTC", RUNNING)),
        ({REFRESH: " 5 * * * 1-5 ", ZONE: "Europe/Berlin"}, ("5 * * * 1-5", "Europe/Berlin", RUNNING)),
        ({REFRESH: "@hourly"}, ("@hourly", "UTC", RUNNING)),
        ({REFRESH: "Off"}, ("*/15 * * * *", "UTC", STOPPED)),
        ({"GOVERNANCE_RETENTION_SCHEDULE": "off"}, ("*/15 * * * *", "UTC", RUNNING)),
    ],
)
def test_the_environment_says_when_and_whether(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: tuple[str, str, dg.DefaultScheduleStatus]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    check_settings()
    schedule = scheduled("refresh", "*/15 * * * *", "Why.")
    assert (schedule.cron_schedule, schedule.execution_timezone, schedule.default_status) == expected
    assert (schedule.name, schedule.job_name) == ("refresh_schedule", "refresh_job")


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        (REFRESH, "every hour", f"{REFRESH} is 'every hour', which is no time: give the five fields of cron, such as "),
        (REFRESH, "61 * * * *", f"{REFRESH} is '61 \\* \\* \\* \\*', which is no time: .*, or `off`"),
        (REFRESH, "on", f"{REFRESH} is 'on', which is no time"),
        ("GOVERNANCE_REFERSH_SCHEDULE", "off", f"there is no schedule for GOVERNANCE_REFERSH_SCHEDULE; .* {REFRESH}, "),
        (ZONE, "Berlin", f"{ZONE} is 'Berlin', which is no time zone: name one such as Europe/Berlin"),
        (ZONE, "../UTC", f"{ZONE} is '../UTC', which is no time zone"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(GovernanceError, match=f"^{sentence}"):
        check_settings()


def test_a_schedule_that_the_environment_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="sweeping is missing in SCHEDULED"):
        scheduled("sweeping", "0 1 * * *", "Why.")


@pytest.mark.parametrize("given", ["0 5 * * *", "off", "OFF", ""])
def test_prices_by_the_clock_need_a_place_to_come_from(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("GOVERNANCE_PRICES_SCHEDULE", given)
    if given.startswith("0"):
        with pytest.raises(GovernanceError, match="GOVERNANCE_PRICES_FROM says it"):
            check_settings()
        monkeypatch.setenv("GOVERNANCE_PRICES_FROM", "/prices.json")
    check_settings()


def test_a_tick_waits_for_the_first_build_and_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "database_url", lambda: "postgresql://nowhere")
    context = dg.build_schedule_context()
    monkeypatch.setattr(module, "is_built", lambda url: False)
    assert run_unless_unbuilt(context) == dg.SkipReason(NOT_BUILT)
    with pytest.raises(NotBuiltError):
        built_database()
    monkeypatch.setattr(module, "is_built", lambda url: True)
    assert isinstance(run_unless_unbuilt(context), dg.RunRequest)
    assert built_database() == "postgresql://nowhere"

    def away(url: str) -> bool:
        raise GovernanceError("the database is away")

    # the run says it where somebody is told of failed runs
    monkeypatch.setattr(module, "is_built", away)
    assert isinstance(run_unless_unbuilt(context), dg.RunRequest)


def test_the_variables_are_documented_and_reach_the_services_of_compose() -> None:
    variables = {f"GOVERNANCE_{name.upper()}_SCHEDULE" for name in SCHEDULED} | {ZONE}
    services = yaml.safe_load((project_dir() / "docker-compose.yml").read_text())["services"]
    for name in ("dagster-webserver", "dagster-daemon"):
        assert {variable for variable in variables if variable in services[name]["environment"]} == variables
    for path in (".env.example", "docs/jobs.md"):
        text = (project_dir() / path).read_text()
        assert {variable for variable in variables if variable in text} == variables, path


@pytest.mark.parametrize(
    ("given", "status"), [(None, STOPPED), ("", STOPPED), ("0 3 * * *", RUNNING), ("off", STOPPED)]
)
def test_what_is_off_is_turned_on_by_giving_its_time(
    monkeypatch: pytest.MonkeyPatch, given: str | None, status: dg.DefaultScheduleStatus
) -> None:
    if given is not None:
        monkeypatch.setenv("GOVERNANCE_BACKUP_SCHEDULE", given)
    assert scheduled("backup", "0 2 * * *", "Why.", is_on=False).default_status == status


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("*/15 * * * *", "every 15 minutes"),
        ("7 * * * *", "each hour at :07"),
        ("0 3 * * *", "each day at 3:00"),
        ("0 1 * * 0", "each Sunday at 1:00"),
        ("15 6 * * 1", "each Monday at 6:15"),
        ("30 6 1 * *", "on day 1 of each month at 6:30"),
        ("45 6 1 1,7 *", "on day 1 of January, July at 6:45"),
    ],
)
def test_times_are_said_as_people_say_them(cron: str, words: str) -> None:
    assert in_words(cron) == words
