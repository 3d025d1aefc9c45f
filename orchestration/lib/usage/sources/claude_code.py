"""Claude Code: its logs below ~/.claude/projects. A line for each content block repeats the usage of its message."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from orchestration.lib.usage.sources.adapter import Adapter, Found, Said, Source, Usage
from orchestration.lib.usage.sources.values import Tokens, as_list, as_object, estimate, id_or_none, nested, text, whole

# so many messages may lie between two lines of one
_OPEN = 10_000
_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
# what it says of a place where no place was asked for
_ANYWHERE = (None, "not_available", "global")


def read(line: Said) -> Usage | None:
    """A line of the assistant as a request, once for each of its lines."""
    message = as_object(line.get("message"))
    said = message.get("usage")
    model = text(message.get("model"))
    if line.get("type") != "assistant" or not isinstance(said, dict) or model == "<synthetic>":
        return None
    message_id = text(message.get("id"))
    folder = text(line.get("cwd"))
    # it answers faster at another price
    tier = "fast" if said.get("speed") == "fast" else text(said.get("service_tier"))
    place = text(said.get("inference_geo"))
    usage: Usage = {
        "time": text(line.get("timestamp")),
        "request_id": text(line.get("requestId")) or message_id,
        "session_id": id_or_none(line.get("sessionId")),
        "provider": "anthropic",
        "model": model,
        "application": "claude-code",
        "region": None if place in _ANYWHERE else place,
        "service_tier": tier,
        "status": "error" if line.get("isApiErrorMessage") is True else "success",
        # counted at the desk, not by who sends the bill
        "metadata": {"estimated": True, **({"response_id": message_id} if message_id else {})},
        "owner": {"project": PurePath(folder.replace("\\", "/")).name if folder else None},
    }
    if message_id:
        usage["group"] = f"{message_id} {text(line.get('requestId'))}"
    tokens = Tokens(usage)
    said = _with_summaries(said)
    tokens.less("input_tokens", said.get("input_tokens"), {})
    tokens.take("cache_read_tokens", said.get("cache_read_input_tokens"))
    tokens.take("cache_write_tokens", said.get("cache_creation_input_tokens"))
    tokens.part("cache_write_1h_tokens", _for_an_hour(said), "cache_write_tokens")
    tokens.less("output_tokens", said.get("output_tokens"), {})
    tokens.also("searches", nested(said.get("server_tool_use"), "web_search_requests"))
    estimate(usage, text(line.get("costUSD")))
    return usage


def _with_summaries(said: Mapping[str, object]) -> Mapping[str, object]:
    """What an answer used, with what the provider used to sum up the conversation before: it counts that beside."""
    found = [each for each in as_list(said.get("iterations")) if isinstance(each, dict)]
    summaries = [each for each in found if each.get("type") == "compaction"]
    if not summaries:
        return said
    counts = {
        name: sum(whole(each.get(name)) or 0 for each in (said, *summaries))
        for name in _COUNTS
        if said.get(name) is None or whole(said.get(name)) is not None
    }
    written = sum(whole(_for_an_hour(each)) or 0 for each in (said, *summaries))
    return {**said, **counts, "cache_creation": {"ephemeral_1h_input_tokens": written}}


def _for_an_hour(said: Mapping[str, object]) -> object:
    return nested(said.get("cache_creation"), "ephemeral_1h_input_tokens")


def fold(requests: Iterator[Found]) -> Iterator[Found]:
    """One request for each message and request id: of its lines the one with the largest output, at the first time."""
    waiting: OrderedDict[str, Found] = OrderedDict()
    for number, usage in requests:
        name = usage.get("group", "")
        if not name:
            yield number, usage
        elif (before := waiting.get(name)) is None:
            waiting[name] = number, usage
            if len(waiting) > _OPEN:
                yield waiting.popitem(last=False)[1]
        elif (whole(usage.get("output_tokens")) or 0) > (whole(before[1].get("output_tokens")) or 0):
            usage["time"] = before[1].get("time")
            waiting[name] = before[0], usage
    yield from waiting.values()


def adapter() -> Adapter:
    """Reads lines one by one; `fold` joins them."""
    return read


SOURCE = Source(
    name="claude-code",
    title="Claude Code's logs, ~/.claude/projects/*/*.jsonl",
    fills={
        "time": "timestamp",
        "request_id": "requestId, else message.id",
        "session_id": "sessionId",
        "provider": "anthropic",
        "model": "message.model",
        "application": "claude-code",
        "region": "message.usage.inference_geo",
        "service_tier": "message.usage.service_tier; fast where message.usage.speed is",
        "input_tokens": "message.usage.input_tokens",
        "cache_read_tokens": "message.usage.cache_read_input_tokens",
        "cache_write_tokens": "message.usage.cache_creation_input_tokens",
        "output_tokens": "message.usage.output_tokens",
        "cost_amount": "costUSD, which old releases wrote",
        "currency": "USD",
        "cost_source": "estimated where there is a cost",
        "status": "isApiErrorMessage",
        "metadata": "estimated, message.id as response_id, tokens kept for an hour and searches as units",
    },
    adapter=adapter,
    recognises=lambda line: "sessionId" in line and "parentUuid" in line,
    fold=fold,
)
