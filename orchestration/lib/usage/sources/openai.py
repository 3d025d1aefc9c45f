"""OpenAI: pages of the organisation's usage and costs, as its API returns them."""

from collections.abc import Iterator

from orchestration.lib.usage.sources.adapter import Said
from orchestration.lib.usage.sources.report import Reader, Report, Row, dimensions
from orchestration.lib.usage.sources.values import nested, text

_USAGE = {
    "project": "project_id",
    "user": "user_id",
    "key": "api_key_id",
    "batch": "batch",
    "service_tier": "service_tier",
    "size": "size",
    "source": "source",
}
_COSTS = {"project": "project_id", "key": "api_key_id"}


def _buckets(page: Said) -> Iterator[tuple[Said, Said, str]]:
    """Each result with its bucket and what it is of, as `usage.completions` or `costs`."""
    data = page.get("data")
    buckets = data if isinstance(data, list) else [page]
    for bucket in buckets:
        results = bucket.get("results") if isinstance(bucket, dict) else None
        for result in results if isinstance(results, list) else ():
            if isinstance(result, dict):
                kind = (text(result.get("object")) or "").removeprefix("organization.").removesuffix(".result")
                yield bucket, result, kind


def _row(bucket: Said, kind: str) -> tuple[Row, Reader]:
    row: Row = {"provider": "openai", "report": kind, "account": ""}
    reader = Reader(row)
    begin = reader.moment("start_time", bucket.get("start_time"))
    end = reader.moment("end_time", bucket.get("end_time"))
    reader.period(begin, end)
    row["period_start"] = row["starts_at"] = begin
    row["period_end"] = row["ends_at"] = end
    return row, reader


def usage(page: Said) -> Iterator[Row]:
    """Rows of the usage endpoints. Input includes cached tokens; tokens of audio are counted beside it."""
    for bucket, result, kind in _buckets(page):
        row, reader = _row(bucket, kind)
        if not kind.startswith("usage."):
            reader.refuse("it is not of a usage report: openai-costs reads costs")
        cached = reader.count("input_cached_tokens", result.get("input_cached_tokens"))
        row["model"] = text(result.get("model"))
        row["requests"] = reader.count("num_model_requests", result.get("num_model_requests"))
        row["cache_read_tokens"] = cached
        row["input_tokens"] = reader.less("input_tokens", result.get("input_tokens"), cached)
        row["output_tokens"] = reader.count("output_tokens", result.get("output_tokens"))
        row["audio_input_tokens"] = reader.count("input_audio_tokens", result.get("input_audio_tokens"))
        row["audio_output_tokens"] = reader.count("output_audio_tokens", result.get("output_audio_tokens"))
        row["dimensions"] = dimensions(result, _USAGE)
        yield row


def costs(page: Said) -> Iterator[Row]:
    """Rows of the costs endpoint, in dollars: JSON numbers, taken as they are written."""
    for bucket, result, kind in _buckets(page):
        row, reader = _row(bucket, kind)
        if kind != "costs":
            reader.refuse("it is not of a cost report: openai-usage reads usage")
        row["line_item"] = text(result.get("line_item"))
        row["cost_amount"] = reader.amount("amount.value", nested(result, "amount", "value"))
        row["currency"] = reader.currency(nested(result, "amount", "currency"))
        row["dimensions"] = dimensions(result, _COSTS)
        if row["cost_amount"] is None and not row.get("wrong"):
            reader.refuse("amount.value is missing")
        yield row


def _is_of(kind: str, page: Said) -> bool:
    return any(found.startswith(kind) for _, _, found in _buckets(page))


USAGE = Report(
    name="openai-usage",
    title="pages of OpenAI's organisation usage, JSON",
    rows=usage,
    recognises=lambda page: _is_of("usage.", page),
)
COSTS = Report(
    name="openai-costs",
    title="pages of OpenAI's organisation costs, JSON",
    rows=costs,
    recognises=lambda page: _is_of("costs", page),
)
