"""OpenAI: the organisation's usage and costs, in pages as its API returns them or as CSV of its dashboard."""

from collections.abc import Iterator

from orchestration.lib.usage.sources.adapter import Said
from orchestration.lib.usage.sources.report import Report, Row, bucket_results, bucket_row, dimensions
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
# of the CSV
_COST_COLUMNS = {"start_time", "end_time", "amount_value", "amount_currency"}
_USAGE_COLUMNS = {"start_time", "end_time", "num_model_requests", "input_tokens"}
_COSTS = {"project": "project_id", "key": "api_key_id"}


def _kind(result: Said) -> str:
    """What a result is of, as `usage.completions` or `costs`."""
    return (text(result.get("object")) or "").removeprefix("organization.").removesuffix(".result")


def _as_bucket(said: Said) -> Said:
    """A line of a CSV as the bucket that it is of; one of a bucket without results has none."""
    if said.keys() >= _COST_COLUMNS:
        amount = {"value": said["amount_value"], "currency": said["amount_currency"]}
        results = [{**said, "object": "organization.costs.result", "amount": amount}] if said["amount_value"] else []
    elif said.keys() >= _USAGE_COLUMNS:
        # those of embeddings make nothing
        kind = "completions" if "output_tokens" in said else "embeddings"
        results = [{**said, "object": f"organization.usage.{kind}.result"}] if said["num_model_requests"] else []
    else:
        return said
    return {**said, "results": results}


def usage(page: Said) -> Iterator[Row]:
    """Rows of the usage endpoints. Input includes cached tokens; tokens of audio are counted beside it."""
    for bucket, result in bucket_results(_as_bucket(page)):
        kind = _kind(result)
        row, reader = bucket_row("openai", kind, bucket, "start_time", "end_time")
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
    for bucket, result in bucket_results(_as_bucket(page)):
        kind = _kind(result)
        row, reader = bucket_row("openai", kind, bucket, "start_time", "end_time")
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
    columns = _COST_COLUMNS if kind == "costs" else _USAGE_COLUMNS
    return columns <= page.keys() or any(_kind(result).startswith(kind) for _, result in bucket_results(page))


USAGE = Report(
    name="openai-usage",
    title="OpenAI's organisation usage, pages of JSON or CSV",
    formats=("jsonl", "csv"),
    rows=usage,
    recognises=lambda page: _is_of("usage.", page),
)
COSTS = Report(
    name="openai-costs",
    title="OpenAI's organisation costs, pages of JSON or CSV",
    formats=("jsonl", "csv"),
    rows=costs,
    recognises=lambda page: _is_of("costs", page),
)
