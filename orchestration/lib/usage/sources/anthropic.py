"""Anthropic: pages of the organisation's usage report for messages and of its cost report."""

from collections.abc import Iterator
from decimal import Decimal

from orchestration.lib.money import from_cents
from orchestration.lib.usage.sources.adapter import Said
from orchestration.lib.usage.sources.report import Report, Row, bucket_results, bucket_row, dimensions
from orchestration.lib.usage.sources.values import nested, text

_USAGE = {
    "account": "account_id",
    "key": "api_key_id",
    "workspace": "workspace_id",
    "service_tier": "service_tier",
    "context_window": "context_window",
    "geography": "inference_geo",
}
_COSTS = {
    "workspace": "workspace_id",
    "cost_type": "cost_type",
    "token_type": "token_type",
    "service_tier": "service_tier",
    "context_window": "context_window",
    "geography": "inference_geo",
}


def usage(page: Said) -> Iterator[Row]:
    """Rows of the usage report: its classes don't overlap, and it has no number of requests."""
    for bucket, result in bucket_results(page):
        row, reader = bucket_row("anthropic", "messages", bucket, "starting_at", "ending_at")
        written = [
            reader.count(f"cache_creation.{name}", nested(result.get("cache_creation"), name))
            for name in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
        ]
        row["model"] = text(result.get("model"))
        row["input_tokens"] = reader.count("uncached_input_tokens", result.get("uncached_input_tokens"))
        row["cache_read_tokens"] = reader.count("cache_read_input_tokens", result.get("cache_read_input_tokens"))
        row["cache_write_tokens"] = sum(number or 0 for number in written)
        row["output_tokens"] = reader.count("output_tokens", result.get("output_tokens"))
        row["dimensions"] = dimensions(result, _USAGE)
        yield row


def costs(page: Said) -> Iterator[Row]:
    """Rows of the cost report. Its amounts are decimal texts in cents; of the analytics report, after the discount."""
    for bucket, result in bucket_results(page):
        row, reader = bucket_row("anthropic", "costs", bucket, "starting_at", "ending_at")
        row["model"] = text(result.get("model"))
        row["line_item"] = text(result.get("description")) or text(result.get("cost_type"))
        row["cost_amount"] = _from_cents(reader.amount("amount", result.get("amount")))
        row["list_cost_amount"] = _from_cents(reader.amount("list_amount", result.get("list_amount")))
        row["currency"] = reader.currency(result.get("currency"))
        row["dimensions"] = dimensions(result, _COSTS)
        if row["cost_amount"] is None and not row.get("wrong"):
            reader.refuse("amount is missing")
        yield row


def _from_cents(cents: Decimal | None) -> Decimal | None:
    return None if cents is None else from_cents(cents)


def _first(page: Said) -> Said:
    return next((result for _, result in bucket_results(page)), {})


USAGE = Report(
    name="anthropic-usage",
    title="pages of Anthropic's usage report for messages, JSON",
    rows=usage,
    recognises=lambda page: "uncached_input_tokens" in _first(page),
)
COSTS = Report(
    name="anthropic-costs",
    title="pages of Anthropic's cost report, JSON",
    rows=costs,
    recognises=lambda page: (
        "amount" in (found := _first(page)) and "currency" in found and not isinstance(found["amount"], dict)
    ),
)
