"""Prices that Dagster takes over: lists that land in a folder, and one that is pulled from a server."""

import base64
import json
import os
import threading
import urllib.error
from collections.abc import Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from usage_loads import query

from orchestration.cli.main import main
from orchestration.defs import failures
from orchestration.defs.pricing.jobs import PRICES, price_files_job, price_files_sensor, prices_job
from orchestration.defs.scheduled import check_settings
from orchestration.lib.addresses import ask
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.pricing import landing

# prices don't depend on the engine
pytestmark = pytest.mark.engines("postgres")
TODAY = datetime.now(UTC).date()
LIST = "provider,model,valid_from,input_tokens\n"


class Server(ThreadingHTTPServer):
    """Answers with what is put into `content`, with `status`; counts how often it was asked."""

    content, status, asked, length, login = b"", 200, 0, -1, ""

    def answer(self, **entries: Any) -> None:
        self.content = json.dumps(
            {name: {"litellm_provider": "acme", **each} for name, each in entries.items()}
        ).encode()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.login = self.headers["Authorization"]
        self.send_response(self.server.status)
        length = self.server.length if self.server.length >= 0 else len(self.server.content)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv(
            "GOVERNANCE_PRICES_FROM", f"http://who:secret@127.0.0.1:{made.server_port}/map.json?key=secret"
        )
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def home(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", database)
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path))
    monkeypatch.setattr(failures, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(landing, "SETTLE", landing.SETTLE * 0)
    yield tmp_path
    with connect(database) as connection:
        connection.execute("delete from internal.landed_files")
        connection.execute(
            "update core.model_prices set superseded_at = now() where provider = 'acme' and superseded_at is null"
        )


def run(job: dg.JobDefinition) -> tuple[str | None, list[dict[str, Any]]]:
    """Why the job failed, if it did, and what its materializations say."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    failed = [event.step_failure_data.user_failure_data for event in result.get_step_failure_events()]
    made = result.get_asset_materialization_events()
    assert {event.asset_key for event in made} <= {PRICES}
    said = [{name: value.value for name, value in event.materialization.metadata.items()} for event in made]
    return (str(failed[0].description) if failed and failed[0] else None), said


def held(database: str) -> list[tuple[Any, ...]]:
    rows = query(
        database,
        "select model, unit, unit_price::text, nullif(valid_from, '-infinity')::date, valid_to::date, observed_on,"
        " origin from core.model_prices where provider = 'acme' and superseded_at is null order by 1, 2, valid_from",
    )
    return [tuple(row) for row in rows]


def test_a_map_is_pulled_and_holds_since_it_was_seen(database: str, server: Server) -> None:
    server.answer(one={"input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05})
    failure, [said] = run(prices_job)
    origin = f"LiteLLM http://127.0.0.1:{server.server_port}/map.json"
    assert failure is None
    assert (said["new"], said["ended"], said["unchanged"]) == (2, 0, 0)
    assert said["taken over from"] == origin.removeprefix("LiteLLM ")
    assert held(database) == [
        ("one", "input_tokens", "3", None, None, TODAY, origin),
        ("one", "output_tokens", "15", None, None, TODAY, origin),
    ]
    assert server.login == f"Basic {base64.b64encode(b'who:secret').decode()}"
    # once
    assert run(prices_job) == (None, [])
    server.answer(
        one={"input_cost_per_token": 2e-06, "output_cost_per_token": 1.5e-05}, two={"input_cost_per_token": 1e-06}
    )
    failure, [said] = run(prices_job)
    assert (failure, said["new"], said["ended"], said["unchanged"]) == (None, 2, 1, 1)
    assert [row[:5] for row in held(database)] == [
        ("one", "input_tokens", "3", None, TODAY),
        ("one", "input_tokens", "2", TODAY, None),
        ("one", "output_tokens", "15", None, None),
        ("two", "input_tokens", "1", None, None),
    ]


def test_names_are_those_of_reports(database: str, server: Server) -> None:
    """So that a request finds its price, whatever its source calls provider and model."""
    server.content = json.dumps(
        {"azure/gpt-4o-2024-08-06": {"litellm_provider": "azure", "input_cost_per_token_flex": 2e-06}}
    ).encode()
    failure, [said] = run(prices_job)
    assert (failure, said["new"]) == (None, 1)
    query_of = (
        "select provider, model, unit_price::text from core.model_prices"
        " where provider = 'azure' and service_tier = 'flex' and superseded_at is null"
    )
    assert query(database, query_of) == [("azure", "gpt-4o", "2")]
    with connect(database) as connection:
        connection.execute(
            "update core.model_prices set superseded_at = now() where provider = 'azure' and service_tier = 'flex'"
        )


def test_a_decided_price_is_left_alone(database: str, server: Server, home: Path) -> None:
    folder = home / "prices"
    folder.mkdir()
    (folder / "contract.csv").write_text(LIST + "acme,one,2026-01-01,7\n")
    assert run(price_files_job)[0] is None
    server.answer(one={"input_cost_per_token": 3e-06}, two={"input_cost_per_token": 1e-06})
    failure, [said] = run(prices_job)
    assert (failure, said["new"], said["left alone"]) == (None, 1, 1)
    assert [row[:3] for row in held(database)] == [("one", "input_tokens", "7"), ("two", "input_tokens", "1")]


def test_what_is_mostly_a_mistake_changes_nothing(database: str, server: Server) -> None:
    many = {f"m{number}": {"input_cost_per_token": 3e-06} for number in range(6)}
    server.answer(**many)
    assert run(prices_job)[0] is None
    before = held(database)
    place = f"http://127.0.0.1:{server.server_port}/map.json"
    look = ", so nothing is taken over; look at it with `governance prices import`, which shows what changes and asks"
    server.answer(**many | {"m1": {"input_cost_per_token": 3e-05}, "m2": {"input_cost_per_token": 3e-07}})
    assert run(prices_job) == (
        f"{place}: input_tokens of acme/m1 would be 30 after 3 (and 1 other price as much){look}",
        [],
    )
    server.answer(m1=many["m1"])
    assert run(prices_job) == (f"{place}: it has 1 prices, and 5 that it had are gone{look}", [])
    server.content = b"{}"
    assert run(prices_job) == (f"{place} has no price of any model: nothing is changed", [])
    server.content = b"<html>Sign in</html>"
    failure, made = run(prices_job)
    assert failure is not None
    assert failure.startswith(f"{place} has no column provider, model, valid_from")
    server.content = LIST.encode()
    assert run(prices_job) == (f"{place}: it has no price{look}", [])
    assert (made, held(database)) == ([], before)
    # whoever looked takes it over, and the next pull has nothing to say
    server.answer(**many | {"m1": {"input_cost_per_token": 3e-05}})
    address = os.environ["GOVERNANCE_PRICES_FROM"]
    shown = CliRunner().invoke(main, ["prices", "import", address, "--yes"])
    assert shown.exit_code == 0, shown.output
    assert "+ input_tokens of acme/m1: 30 USD from " in shown.output
    assert "secret" not in shown.output
    assert run(prices_job) == (None, [])


def test_a_server_that_is_away_is_asked_again_and_one_that_refuses_is_not(server: Server) -> None:
    place = f"http://127.0.0.1:{server.server_port}/map.json"
    server.status = 503
    assert run(prices_job) == (f"{place} answers 503 Service Unavailable: no prices were pulled", [])
    assert server.asked == 1 + failures.RETRIES
    server.status, server.asked = 404, 0
    assert run(prices_job) == (f"{place} answers 404 Not Found: no prices were pulled", [])
    assert server.asked == 1
    server.status, server.length, server.content = 200, 100, b'{"a": {}}'
    assert run(prices_job) == (f"{place} broke off after 9 of 100 bytes: nothing is changed", [])


def test_a_refusal_holds_no_connection(server: Server) -> None:
    server.status = 404
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(f"http://127.0.0.1:{server.server_port}/", seconds=10)
    assert refused.value.closed


def test_where_prices_are_must_be_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failure, _ = run(prices_job)
    assert failure is not None
    assert failure.startswith("GOVERNANCE_PRICES_FROM isn't set: give it the path or address of ")
    monkeypatch.setenv("GOVERNANCE_PRICES_SCHEDULE", "off")
    check_settings()
    monkeypatch.setenv("GOVERNANCE_PRICES_SCHEDULE", "20 2 * * *")
    with pytest.raises(GovernanceError, match="^GOVERNANCE_PRICES_SCHEDULE is set, but not where prices are"):
        check_settings()
    monkeypatch.setenv("GOVERNANCE_PRICES_FROM", "ftp://prices")
    assert run(prices_job) == ("ftp://prices is no place of prices: give a path, or an address with https://", [])
    for place in ("http://[::1/secret", "https://prices.example:secret/", "http://a b/"):
        monkeypatch.setenv("GOVERNANCE_PRICES_FROM", place)
        failure, _ = run(prices_job)
        assert failure is not None
        assert " is no address: " in failure
    monkeypatch.setenv("GOVERNANCE_PRICES_FROM", str(tmp_path / "none.csv"))
    assert run(prices_job) == (f"{tmp_path}/none.csv can't be read: No such file or directory", [])


def tick() -> dg.RunRequest | str:
    """What the sensor asks for, or why it waits."""
    asked: Any = price_files_sensor(dg.build_sensor_context())
    return str(asked.skip_message) if isinstance(asked, dg.SkipReason) else asked


def test_lists_are_taken_over_as_they_land_and_once(database: str, home: Path) -> None:
    folder = home / "prices"
    assert tick() == f"no file is there as {folder}/*"
    folder.mkdir()
    (folder / "a.csv").write_text(LIST + "acme,one,2026-01-01,7\n")
    (folder / "b.csv.part").write_text(LIST + "acme,two,2026-01-01,7\n")
    asked, again = tick(), tick()
    assert isinstance(asked, dg.RunRequest)
    assert isinstance(again, dg.RunRequest)
    assert asked.run_key == again.run_key
    failure, [said] = run(price_files_job)
    assert (failure, said["new"], said["taken over from"]) == (None, 1, f"{folder}/a.csv")
    assert tick() == "1 file is loaded"
    assert run(price_files_job) == (None, [])
    assert [row[:4] for row in held(database)] == [("one", "input_tokens", "7", date(2026, 1, 1))]


def test_a_bad_list_is_one_failure_and_holds_up_no_other(database: str, home: Path) -> None:
    folder = home / "prices"
    folder.mkdir()
    (folder / "a.csv").write_text(LIST + "acme,one,2026-01-01,seven\n")
    (folder / "b.csv").write_text(LIST + "acme,two,2026-01-01,7\n")
    os.utime(folder / "a.csv", (1, 1))
    failure, made = run(price_files_job)
    wrong = "a.csv, line 2: the price of input_tokens is 'seven': write the amount per million with a point, as 2.50"
    assert failure == f"{folder}/a.csv: {wrong}. It isn't tried again before the file is written anew"
    assert len(made) == 1
    assert [row[:3] for row in held(database)] == [("two", "input_tokens", "7")]
    assert tick() == f"1 file is loaded; refused: {folder}/a.csv: {wrong}"
    assert run(price_files_job) == (None, [])
    (folder / "a.csv").write_text(LIST + "acme,one,2026-01-01,8\n")
    assert isinstance(tick(), dg.RunRequest)
    assert run(price_files_job)[0] is None
    assert [row[:3] for row in held(database)] == [("one", "input_tokens", "8"), ("two", "input_tokens", "7")]


def test_a_database_that_is_away_is_no_fault_of_the_file(
    database: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home / "prices"
    folder.mkdir()
    (folder / "a.csv").write_text(LIST + "acme,one,2026-01-01,7\n")
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    assert str(tick()).startswith("cannot connect to ")
    failure, _ = run(price_files_job)
    assert failure is not None
    assert failure.startswith("cannot connect to ")
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", database)
    assert isinstance(tick(), dg.RunRequest)
