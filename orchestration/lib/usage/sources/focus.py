"""FOCUS 1.0 to 1.4: the cost and usage file of a cloud's billing, of which the lines for models are read."""

from collections.abc import Iterator

from orchestration.lib.usage.sources.adapter import Said
from orchestration.lib.usage.sources.report import Reader, Report, Row, dimensions
from orchestration.lib.usage.sources.values import as_object, text

_CATEGORY = "AI and Machine Learning"
# what tells lines apart; 1.3 calls the provider the service provider, and may leave the older name out
_DIMENSIONS = {
    "billing_account": "BillingAccountId",
    "sub_account": "SubAccountId",
    "region": "RegionId",
    "resource": "ResourceId",
    "service": "ServiceName",
    "sku": "SkuId",
    "sku_price": "SkuPriceId",
    "charge_category": "ChargeCategory",
    "charge_class": "ChargeClass",
    "invoice": "InvoiceId",
    "consumed_quantity": "ConsumedQuantity",
    "consumed_unit": "ConsumedUnit",
    "pricing_quantity": "PricingQuantity",
    "pricing_unit": "PricingUnit",
}


def rows(line: Said) -> Iterator[Row]:
    """The row of a line; lines of other services have none."""
    if text(line.get("ServiceCategory")) != _CATEGORY:
        return
    provider = (
        text(line.get("ServiceProviderName")) or text(line.get("ProviderName")) or text(line.get("PublisherName"))
    )
    row: Row = {
        "provider": (provider or "").lower(),
        "report": "costs",
        "account": text(line.get("BillingAccountId")) or "",
        "line_item": text(line.get("ChargeDescription")) or text(line.get("SkuId")),
    }
    reader = Reader(row)
    row["period_start"] = reader.moment("BillingPeriodStart", line.get("BillingPeriodStart"))
    row["period_end"] = reader.moment("BillingPeriodEnd", line.get("BillingPeriodEnd"))
    row["starts_at"] = reader.moment("ChargePeriodStart", line.get("ChargePeriodStart"))
    row["ends_at"] = reader.moment("ChargePeriodEnd", line.get("ChargePeriodEnd"))
    reader.period(row["period_start"], row["period_end"])
    reader.period(row["starts_at"], row["ends_at"])
    row["cost_amount"] = reader.amount("BilledCost", line.get("BilledCost"))
    row["effective_cost_amount"] = reader.amount("EffectiveCost", line.get("EffectiveCost"))
    row["list_cost_amount"] = reader.amount("ListCost", line.get("ListCost"))
    row["currency"] = reader.currency(line.get("BillingCurrency"))
    row["invoice_id"] = text(line.get("InvoiceId"))
    row["dimensions"] = dimensions(line, _DIMENSIONS)
    for name, value in as_object(line.get("Tags")).items():
        if (known := text(value)) is not None:
            row["dimensions"][f"tag:{name}"] = known
    if not provider:
        reader.refuse("ServiceProviderName and ProviderName are missing")
    if row["cost_amount"] is None and not row.get("wrong"):
        reader.refuse("BilledCost is missing")
    yield row


REPORT = Report(
    name="focus",
    title="a cost file of FOCUS 1.0 to 1.4 (Bedrock, Azure, Vertex AI), CSV or JSON",
    rows=rows,
    recognises=lambda line: {"BilledCost", "ChargePeriodStart", "BillingPeriodStart", "ServiceCategory"} <= line.keys(),
    formats=("csv", "jsonl"),
    is_whole=True,
)
