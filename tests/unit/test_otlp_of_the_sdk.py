"""What the real OpenTelemetry SDK writes of calls to a stand-in for the provider, and what is read of it."""

from pathlib import Path

from sdk_calls import write_calls
from test_source_files import requests


def test_calls_streams_and_errors_of_the_real_sdk(tmp_path: Path) -> None:
    file = tmp_path / "traces.json"
    write_calls(file)
    found = requests(file)
    assert all(row["provider"] == "openai" and row["application"] == "shop" for row in found)
    assert all(row["environment"] == "production" and str(row["latency_ms"]).isdigit() for row in found)
    assert "time_to_first_token_ms" in found[1]
    names = ("operation", "model", "status", "input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
    assert [tuple(row.get(name) for name in names) for row in found] == [
        ("chat", "gpt-4o-2024-08-06", "success", "36", "64", "18", "12"),
        ("chat", "gpt-4o-2024-08-06", "success", "36", "64", "18", "12"),
        ("embedding", "text-embedding-3-small", "success", "8", None, "0", None),
        ("chat", "gpt-4o-2024-08-06", "success", "30", "20", "5", "4"),
        ("chat", "limited", "rate_limited", "0", None, "0", None),
        ("chat", "broken", "error", "0", None, "0", None),
    ]
    assert [row.get("error_code") for row in found][-2:] == ["openai.RateLimitError", "openai.BadRequestError"]
    assert [dict(row.get("metadata", {})) for row in found[:2]] == [  # type: ignore[call-overload]
        {"response_id": "chatcmpl-1"},
        {"response_id": "chatcmpl-2"},
    ]
