"""What has a price of its own within a class of tokens or beside them, as sources write it: worked out by hand."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.lib.usage.record import TOKEN_CLASSES
from orchestration.lib.usage.sources.catalogue import SOURCES


def read(source: str, record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request of a record, with its classes that have tokens and its units."""
    usage = SOURCES[source].adapter()(record)
    assert usage is not None
    assert "wrong" not in usage
    units = usage.get("metadata", {}).get("units", {})
    assert isinstance(units, dict)
    tokens: dict[str, object] = {name: int(str(usage.get(name) or 0)) for name in TOKEN_CLASSES}
    return {name: number for name, number in tokens.items() if number} | units


def claude_code(**said: object) -> dict[str, Any]:
    return {"type": "assistant", "requestId": "r", "message": {"id": "m", "model": "claude-opus-5", "usage": said}}


def litellm(prompt: int, completion: int, **usage: object) -> dict[str, Any]:
    counts = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return {**counts, "call_type": "acompletion", "metadata": {"usage_object": {**counts, **usage}}}


def langfuse(**details: int) -> dict[str, Any]:
    return {"type": "GENERATION", "id": "g", "model": "m", "usageDetails": details}


CASES = {
    "claude code: kept for an hour": (
        "claude-code",
        claude_code(
            input_tokens=5,
            output_tokens=7,
            cache_creation_input_tokens=100,
            cache_creation={"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 60},
        ),
        {"input_tokens": 5, "output_tokens": 7, "cache_write_tokens": 100, "cache_write_1h_tokens": 60},
    ),
    "claude code: never more of a class than it has": (
        "claude-code",
        claude_code(output_tokens=7, cache_creation_input_tokens=0, cache_creation={"ephemeral_1h_input_tokens": 60}),
        {"output_tokens": 7},
    ),
    "claude code: searches": (
        "claude-code",
        claude_code(output_tokens=7, server_tool_use={"web_search_requests": 2, "web_fetch_requests": 1}),
        {"output_tokens": 7, "searches": 2},
    ),
    "claude code: a summary of the conversation is counted beside the answer": (
        "claude-code",
        claude_code(
            input_tokens=23,
            output_tokens=10,
            cache_creation_input_tokens=4,
            cache_creation={"ephemeral_1h_input_tokens": 4},
            iterations=[
                {
                    "type": "compaction",
                    "input_tokens": 180,
                    "output_tokens": 35,
                    "cache_creation_input_tokens": 6,
                    "cache_creation": {"ephemeral_1h_input_tokens": 5},
                },
                {"type": "message", "input_tokens": 23, "output_tokens": 10, "cache_creation_input_tokens": 4},
                {"type": "advisor_message", "model": "claude-fable-5", "input_tokens": 900, "output_tokens": 90},
            ],
        ),
        {"input_tokens": 203, "output_tokens": 45, "cache_write_tokens": 10, "cache_write_1h_tokens": 9},
    ),
    "litellm: kept for an hour, and searches": (
        "litellm",
        litellm(
            105,
            7,
            prompt_tokens_details={
                "cached_tokens": 0,
                "cache_creation_tokens": 100,
                "cache_creation_token_details": {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 60},
            },
            server_tool_use={"web_search_requests": 3},
        ),
        {
            "input_tokens": 5,
            "output_tokens": 7,
            "cache_write_tokens": 100,
            "cache_write_1h_tokens": 60,
            "searches": 3,
        },
    ),
    "litellm: audio of which a cache had a part": (
        "litellm",
        litellm(
            100,
            7,
            prompt_tokens_details={
                "cached_tokens": 80,
                "audio_tokens": 60,
                "text_tokens": 40,
                "cached_tokens_details": {"text_tokens": 30, "audio_tokens": 50},
            },
        ),
        {
            "input_tokens": 10,
            "cache_read_tokens": 80,
            "audio_input_tokens": 10,
            "output_tokens": 7,
            "cache_read_audio_tokens": 50,
        },
    ),
    "langfuse: a cache's writes by how long it keeps them": (
        "langfuse",
        langfuse(
            input=7,
            output=445,
            input_cached_tokens=16399,
            input_cache_creation=0,
            input_cache_creation_5m=2000,
            input_cache_creation_1h=1000,
            total=19851,
        ),
        {
            "input_tokens": 7,
            "output_tokens": 445,
            "cache_read_tokens": 16399,
            "cache_write_tokens": 3000,
            "cache_write_1h_tokens": 1000,
        },
    ),
    "langfuse: text is told apart of input, and includes the cache's": (
        "langfuse",
        langfuse(input=0, output=9, input_text_tokens=37, input_audio_tokens=0, input_cached_tokens=8, total=46),
        {"input_tokens": 29, "cache_read_tokens": 8, "output_tokens": 9},
    ),
    "langfuse: predictions are output": (
        "langfuse",
        langfuse(
            input=10, output=0, output_accepted_prediction_tokens=3, output_rejected_prediction_tokens=4, total=17
        ),
        {"input_tokens": 10, "output_tokens": 7},
    ),
    "langfuse: tokens of Gemini by modality": (
        "langfuse",
        langfuse(input=0, output=5, input_modality_1=90, input_modality_2=258, total=353),
        {"input_tokens": 348, "output_tokens": 5},
    ),
    "langfuse: Gemini's own names": (
        "langfuse",
        langfuse(promptTokenCount=100, candidatesTokenCount=20, thoughtsTokenCount=30, totalTokenCount=150),
        {"input_tokens": 100, "output_tokens": 20, "reasoning_tokens": 30},
    ),
    "langfuse: a call by voice": (
        "langfuse",
        langfuse(
            input_text_tokens=10,
            input_cached_text_tokens=30,
            input_audio_tokens=15,
            input_cached_audio_tokens=50,
            output_text_tokens=4,
            output_audio_tokens=6,
            total=115,
        ),
        {
            "input_tokens": 10,
            "cache_read_tokens": 80,
            "audio_input_tokens": 15,
            "output_tokens": 4,
            "audio_output_tokens": 6,
            "cache_read_audio_tokens": 50,
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_has_a_price_of_its_own(case: str) -> None:
    source, record, expected = CASES[case]
    assert read(source, record) == expected


def test_an_answer_at_another_speed_or_place_says_so() -> None:
    usage = SOURCES["claude-code"].adapter()(
        claude_code(output_tokens=1, service_tier="standard", speed="fast", inference_geo="us")
    )
    assert usage is not None
    assert (usage.get("service_tier"), usage.get("region")) == ("fast", "us")
    usage = SOURCES["claude-code"].adapter()(
        claude_code(output_tokens=1, service_tier="batch", speed="standard", inference_geo="not_available")
    )
    assert usage is not None
    assert (usage.get("service_tier"), usage.get("region")) == ("batch", None)


def test_what_codex_writes_to_a_cache_is_input_and_no_other_request() -> None:
    counts = {"input_tokens": 100, "cached_input_tokens": 20, "output_tokens": 9, "reasoning_output_tokens": 4}
    found = []
    for written in ({}, {"cache_write_input_tokens": 30}):
        adapter = SOURCES["codex"].adapter()
        adapter({"type": "session_meta", "payload": {"id": "s"}})
        said = counts | written
        info = {"total_token_usage": said, "last_token_usage": said}
        found.append(adapter({"type": "event_msg", "payload": {"type": "token_count", "info": info}}))
    before, now = found
    assert before is not None
    assert now is not None
    # so a file that is read again is known again
    assert before["request_id"] == now["request_id"] == "s:133"
    assert (before.get("input_tokens"), before.get("cache_write_tokens")) == (80, None)
    assert (now.get("input_tokens"), now.get("cache_write_tokens")) == (50, 30)


COUNTS = st.integers(0, 10**6)


@settings(deadline=None)
@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.booleans())
def test_langfuse_loses_no_token_of_what_it_flattens(
    text: int, cached: int, picture: int, made: int, guessed: int, includes_cached: bool
) -> None:
    """It puts each detail of OpenAI's beside input and output, and takes each of it out of them, down to 0."""
    prompt = text + picture + (0 if includes_cached else cached)
    if includes_cached and cached > text:
        return
    completion = made + guessed
    details = {"text_tokens": text, "image_tokens": picture, "cached_tokens": cached}
    found = read(
        "langfuse",
        langfuse(
            input=max(prompt - sum(details.values()), 0),
            output=made,
            total=prompt + completion,
            **{f"input_{name}": number for name, number in details.items()},
            output_rejected_prediction_tokens=guessed,
        ),
    )
    assert sum(int(str(found.get(name, 0))) for name in TOKEN_CLASSES) == prompt + completion
    assert found.get("cache_read_tokens", 0) == cached
