"""docker/otel-collector.yaml as far as it can be checked without a Collector."""

import re
from typing import Any

import pytest
import yaml

from orchestration.lib.settings import project_dir
from orchestration.lib.usage.sources.otlp import _MEANS

CONFIG: dict[str, Any] = yaml.safe_load((project_dir() / "docker" / "otel-collector.yaml").read_text())
SERVICES = yaml.safe_load((project_dir() / "docker-compose.yml").read_text())["services"]
(ACTION,) = CONFIG["processors"]["attributes/no_content"]["actions"]


def test_the_pipeline_uses_what_is_defined_and_nothing_is_left_over() -> None:
    assert CONFIG["service"]["pipelines"].keys() == {"traces"}
    for kind, used in CONFIG["service"]["pipelines"]["traces"].items():
        assert sorted(used) == sorted(CONFIG[kind])
    # before the others, as its documentation wants it
    assert CONFIG["service"]["pipelines"]["traces"]["processors"][0] == "memory_limiter"


def test_files_are_written_where_they_are_read() -> None:
    exporter = CONFIG["exporters"]["file"]
    assert exporter.get("format", "json") in ("json", "proto")
    assert "compression" not in exporter
    folder, _, name = exporter["path"].rpartition("/")
    assert f"otel-traces:{folder}" in SERVICES["otel-collector"]["volumes"]
    assert f"otel-traces:{folder}:ro" in SERVICES["otel-load"]["volumes"]
    assert SERVICES["otel-load"]["command"][-1].endswith(f" {folder}/*.{name.rpartition('.')[2]}")


def test_what_listens_is_published() -> None:
    protocols = CONFIG["receivers"]["otlp"]["protocols"].values()
    listening = sorted(protocol["endpoint"].rpartition(":")[2] for protocol in protocols)
    assert listening == sorted(port.rpartition(":")[2] for port in SERVICES["otel-collector"]["ports"])


@pytest.mark.parametrize(
    "name",
    [
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.prompt.0.content",
        "gen_ai.completion",
        "input.value",
        "llm.input_messages.0.message.content",
    ],
)
def test_what_was_said_is_left_out(name: str) -> None:
    assert ACTION["action"] == "delete"
    assert re.search(ACTION["pattern"], name)


def test_nothing_that_counts_is_left_out() -> None:
    assert [name for name in _MEANS if re.search(ACTION["pattern"], name)] == []
