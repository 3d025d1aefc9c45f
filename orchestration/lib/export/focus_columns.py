"""The columns of each dataset and version of FOCUS, in the order of a file, and what each is made of."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "decimal", "time", "json"]

VERSIONS = ("1.2", "1.4")
DATASETS = ("cost-and-usage", "billing-period", "invoice-detail")


@dataclass(frozen=True)
class Column:
    """A column: its name in FOCUS, its type, and the SQL that gives it from reporting.focus_cost_and_usage."""

    name: str
    kind: Kind
    source: str


@dataclass(frozen=True)
class Dataset:
    """What a file has: its columns, and by how many of the first of them rows are grouped; 0 = they aren't."""

    columns: tuple[Column, ...]
    grouped_by: int = 0


def _read(kind: Kind, *names: str) -> list[Column]:
    return [Column("".join(part.capitalize() for part in name.split("_")), kind, name) for name in names]


def _custom(name: str, source: str) -> Column:
    return Column(f"x_{name}", "text", f"{source}::text")


_OF_ALL_VERSIONS = [
    *_read("decimal", "billed_cost", "consumed_quantity", "contracted_cost", "contracted_unit_price", "effective_cost"),
    *_read("decimal", "list_cost", "list_unit_price", "pricing_quantity"),
    *_read("time", "billing_period_end", "billing_period_start", "charge_period_end", "charge_period_start"),
    *_read("text", "billing_account_id", "billing_account_name", "billing_currency", "charge_category", "charge_class"),
    *_read("text", "charge_description", "charge_frequency", "consumed_unit", "invoice_id", "invoice_issuer_name"),
    *_read("text", "pricing_category", "pricing_unit", "service_category", "service_name", "service_subcategory"),
    *_read("text", "sku_id", "sku_meter", "sku_price_id", "sub_account_id", "sub_account_name"),
    *_read("json", "sku_price_details", "tags"),
]
# 1.3 called providers by what they do, and 1.4 left the older names out
_OF_VERSION = {
    "1.2": _read("text", "provider_name", "publisher_name"),
    "1.4": [
        Column("ServiceProviderName", "text", "provider_name"),
        Column("HostProviderName", "text", "provider_name"),
        *_read("text", "invoice_detail_id"),
    ],
}
_CUSTOM = [
    _custom("CostSource", "x_cost_source"),
    _custom("OriginId", "x_origin_id"),
    _custom("PriceDateBasis", "x_price_date_basis"),
    _custom("PriceId", "x_price_id"),
]
# the moment of the export: both datasets are worked out anew by each
_NOW = "statement_timestamp()"
_BILLING_PERIOD = Dataset(
    (
        *_read("text", "invoice_issuer_name"),
        *_read("time", "billing_period_start", "billing_period_end"),
        Column("BillingPeriodCreated", "time", "min(billing_period_start)"),
        Column("BillingPeriodLastUpdated", "time", _NOW),
        Column("BillingPeriodStatus", "text", "'Open'"),
    ),
    grouped_by=3,
)
_INVOICE_DETAIL = Dataset(
    (
        *_read("text", "invoice_id", "invoice_detail_id", "invoice_issuer_name", "billing_account_id"),
        *_read("text", "billing_currency", "charge_category"),
        *_read("time", "billing_period_start", "billing_period_end"),
        Column("InvoiceDetailGrain", "json", "jsonb_build_object('ServiceName', service_name)"),
        Column("InvoiceDetailDescription", "text", "service_name || ': ' || lower(charge_category)"),
        Column("ReferenceInvoiceId", "text", "invoice_id"),
        Column("PaymentCurrency", "text", "billing_currency"),
        Column("BilledCost", "decimal", "trim_scale(sum(billed_cost))"),
        Column("PaymentCurrencyBilledCost", "decimal", "trim_scale(sum(billed_cost))"),
        Column("InvoiceDetailCreated", "time", _NOW),
        Column("InvoiceDetailLastUpdated", "time", _NOW),
        Column("InvoiceIssueDate", "time", "null::timestamptz"),
        Column("InvoiceIssueStatus", "text", "'Open'"),
        Column("PaymentDueDate", "time", "null::timestamptz"),
        Column("PaymentTerms", "text", "null::text"),
    ),
    grouped_by=12,
)


def dataset(name: str, version: str) -> Dataset:
    """The columns of a dataset of a version; both are of DATASETS and VERSIONS."""
    if name == "billing-period":
        return _BILLING_PERIOD
    if name == "invoice-detail":
        return _INVOICE_DETAIL
    # what a row comes to first, the others by their names
    standard = sorted(
        [*_OF_ALL_VERSIONS, *_OF_VERSION[version]],
        key=lambda column: (column.name not in ("BilledCost", "BillingCurrency"), column.name),
    )
    return Dataset((*standard, *_CUSTOM))
