"""Codex: its logs below ~/.codex/sessions. Counts are cumulative, and are repeated when nothing was added."""

from pathlib import PurePath

from orchestration.lib.usage.sources.adapter import Adapter, Said, Source, Usage
from orchestration.lib.usage.sources.values import Tokens, as_object, id_or_none, text, whole

_COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
_WRITTEN = "cache_write_input_tokens"


def adapter() -> Adapter:
    """Reads the lines of one session: who and what model stands in lines before the counts."""
    session: dict[str, str | None] = {"provider": "openai"}
    before: dict[str, int] = {}

    def read(line: Said) -> Usage | None:
        payload = as_object(line.get("payload"))
        if line.get("type") == "session_meta":
            session["id"] = text(payload.get("id"))
            session["provider"] = text(payload.get("model_provider")) or "openai"
            session["folder"] = text(payload.get("cwd")) or session.get("folder")
            return None
        if line.get("type") == "turn_context":
            session["model"] = text(payload.get("model")) or session.get("model")
            session["folder"] = text(payload.get("cwd")) or session.get("folder")
            return None
        info = payload.get("info")
        if payload.get("type") != "token_count" or not isinstance(info, dict):
            return None
        return _usage(line, info, session, before)

    return read


def _usage(line: Said, info: Said, session: dict[str, str | None], before: dict[str, int]) -> Usage | None:
    total, last = as_object(info.get("total_token_usage")), as_object(info.get("last_token_usage"))
    now = {name: whole(total.get(name)) or 0 for name in (*_COUNTS, _WRITTEN)}
    if total and now == before:
        return None
    added: Said = last or {name: number - before.get(name, 0) for name, number in now.items()}
    if total:
        before.update(now)
    name = session.get("id")
    folder = session.get("folder")
    usage: Usage = {
        "time": text(line.get("timestamp")),
        # the count so far tells the requests of a session apart; what is written to a cache is input too
        "request_id": f"{name}:{sum(now[count] for count in _COUNTS)}" if name and total else None,
        "session_id": id_or_none(name),
        "provider": session["provider"],
        "model": session.get("model"),
        "application": "codex",
        # counted at the desk, not by who sends the bill
        "metadata": {"estimated": True},
        "owner": {"project": PurePath(folder.replace("\\", "/")).name if folder else None},
    }
    tokens = Tokens(usage)
    inputs = {
        "read from a cache": tokens.take("cache_read_tokens", added.get("cached_input_tokens")),
        "written to a cache": tokens.take("cache_write_tokens", added.get(_WRITTEN)),
    }
    tokens.less("input_tokens", added.get("input_tokens"), inputs)
    thought = tokens.take("reasoning_tokens", added.get("reasoning_output_tokens"))
    tokens.less("output_tokens", added.get("output_tokens"), {"of reasoning": thought}, "output tokens")
    return usage


SOURCE = Source(
    name="codex",
    title="Codex's logs, ~/.codex/sessions/*/*/*/rollout-*.jsonl",
    fills={
        "time": "timestamp",
        "request_id": "session_meta.id and the count so far",
        "session_id": "session_meta.id",
        "provider": "session_meta.model_provider, else openai",
        "model": "turn_context.model",
        "application": "codex",
        "input_tokens": "last_token_usage.input_tokens less cached_input_tokens and cache_write_input_tokens",
        "cache_read_tokens": "last_token_usage.cached_input_tokens",
        "cache_write_tokens": "last_token_usage.cache_write_input_tokens",
        "output_tokens": "last_token_usage.output_tokens less reasoning_output_tokens",
        "reasoning_tokens": "last_token_usage.reasoning_output_tokens",
        "metadata": "estimated",
    },
    adapter=adapter,
    recognises=lambda line: line.get("type") == "session_meta" and "payload" in line,
)
