"""What the demo organisation can call and from where: models with list prices, applications, sites.

Prices are illustrative, in units of the model's currency per million tokens of a class; they price the demo only.
"""

from dataclasses import dataclass
from decimal import Decimal

# the disjoint billable classes, in the order of core.llm_metrics
TOKEN_CLASSES = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
)


@dataclass(frozen=True, slots=True)
class Model:
    """A model as billed. `prices` follows TOKEN_CLASSES, None = the model has no price; latency in milliseconds."""

    provider: str
    name: str
    alias: str
    currency: str
    prices: tuple[Decimal, ...] | None
    operation: str = "chat"
    caches: bool = False
    bills_cache_writes: bool = False
    reasons: bool = False
    first_token_ms: int = 350
    tokens_per_second: int = 80


def _prices(*per_million: str) -> tuple[Decimal, ...]:
    prices = tuple(Decimal(price) for price in per_million)
    return prices + (Decimal(0),) * (len(TOKEN_CLASSES) - len(prices))


MODELS: dict[str, Model] = {
    model.alias: model
    for model in (
        Model("openai", "gpt-4o-2024-08-06", "gpt-4o", "USD", _prices("2.50", "1.25", "0", "10.00"), caches=True),
        Model(
            "openai",
            "gpt-4o-mini-2024-07-18",
            "gpt-4o-mini",
            "USD",
            _prices("0.15", "0.075", "0", "0.60"),
            caches=True,
            first_token_ms=260,
            tokens_per_second=110,
        ),
        Model(
            "openai",
            "o4-mini-2025-04-16",
            "o4-mini",
            "USD",
            _prices("1.10", "0.275", "0", "4.40", "4.40"),
            caches=True,
            reasons=True,
            first_token_ms=2600,
            tokens_per_second=120,
        ),
        Model(
            "openai",
            "gpt-4o-audio-preview-2024-12-17",
            "gpt-4o-audio-preview",
            "USD",
            _prices("2.50", "0", "0", "10.00", "0", "40.00", "80.00"),
            operation="audio",
            first_token_ms=420,
        ),
        Model(
            "openai",
            "text-embedding-3-small",
            "text-embedding-3-small",
            "USD",
            _prices("0.02"),
            operation="embedding",
            first_token_ms=90,
            tokens_per_second=20000,
        ),
        Model(
            "anthropic",
            "claude-sonnet-4-20250514",
            "claude-sonnet-4",
            "USD",
            _prices("3.00", "0.30", "3.75", "15.00"),
            caches=True,
            bills_cache_writes=True,
            first_token_ms=620,
            tokens_per_second=70,
        ),
        Model(
            "anthropic",
            "claude-3-5-haiku-20241022",
            "claude-3-5-haiku",
            "USD",
            _prices("0.80", "0.08", "1.00", "4.00"),
            caches=True,
            bills_cache_writes=True,
            first_token_ms=380,
            tokens_per_second=90,
        ),
        Model(
            "anthropic",
            "claude-opus-4-20250514",
            "claude-opus-4",
            "USD",
            _prices("15.00", "1.50", "18.75", "75.00", "75.00"),
            caches=True,
            bills_cache_writes=True,
            reasons=True,
            first_token_ms=1500,
            tokens_per_second=45,
        ),
        Model(
            "google",
            "gemini-2.5-pro",
            "gemini-2.5-pro",
            "USD",
            _prices("1.25", "0.31", "0", "10.00", "10.00"),
            caches=True,
            reasons=True,
            first_token_ms=1900,
            tokens_per_second=100,
        ),
        Model(
            "google",
            "gemini-2.5-flash",
            "gemini-2.5-flash",
            "USD",
            _prices("0.30", "0.075", "0", "2.50"),
            caches=True,
            first_token_ms=300,
            tokens_per_second=160,
        ),
        Model("mistral", "mistral-large-2411", "mistral-large", "EUR", _prices("1.80", "0", "0", "5.40")),
        Model(
            "mistral",
            "mistral-small-2503",
            "mistral-small",
            "EUR",
            _prices("0.10", "0", "0", "0.30"),
            first_token_ms=240,
            tokens_per_second=130,
        ),
        Model(
            "google",
            "gemini-exp-preview",
            "gemini-exp-preview",
            "USD",
            None,
            caches=True,
            reasons=True,
            first_token_ms=2200,
            tokens_per_second=90,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Application:
    """Something that calls models; tokens are medians, `turns` the mean number of requests of a conversation."""

    name: str
    input_median: int
    output_median: int
    turns: float
    projects: tuple[str, ...] = ()
    customers: bool = False


APPLICATIONS: dict[str, Application] = {
    application.name: application
    for application in (
        Application("chat-portal", 1200, 480, 3.2, ("onboarding", "quarterly-review", "knowledge-base")),
        Application("ide-assistant", 9000, 560, 9.0, ("checkout", "ledger", "mobile-app", "platform-api")),
        Application("notebooks", 4200, 900, 3.0, ("churn-model", "forecasting")),
        Application("support-bot", 1400, 260, 2.6, ("support",), customers=True),
        Application("document-pipeline", 14000, 1100, 1.0, ("contracts", "invoices"), customers=True),
        Application("search-index", 2200, 0, 1.0, ("knowledge-base",)),
        Application("call-notes", 900, 350, 1.0, ("support",), customers=True),
        Application("code-review-bot", 14000, 1100, 1.4, ("platform-api", "checkout")),
        Application("nightly-summaries", 22000, 1300, 1.0, ("quarterly-review",)),
        Application("lead-scoring", 1800, 120, 1.0, ("crm",), customers=True),
        Application("translation", 1500, 1500, 1.2, ("localisation",), customers=True),
        Application("evaluation-harness", 2800, 700, 1.0, ("assistant-evals",)),
    )
}

CUSTOMERS = ("aldgate", "birchwood", "corvane", "delmont", "eastlake", "farrow", "glenview", "hartwell")
EXPERIMENTS = ("prompt-v2", "short-context", "reranked")


@dataclass(frozen=True, slots=True)
class Site:
    """Where callers sit: hours ahead of UTC (no daylight saving, it is a demo) and the cloud region they call from."""

    name: str
    utc_offset: int
    region: str


SITES: dict[str, Site] = {
    site.name: site
    for site in (
        Site("berlin", 1, "eu-central-1"),
        Site("new-york", -5, "us-east-1"),
        Site("singapore", 8, "ap-southeast-1"),
    )
}

# relative weight of the 24 local hours
OFFICE_HOURS = (0, 0, 0, 0, 0, 0.1, 0.4, 1.5, 5, 9, 11, 10.5, 6, 8, 10.5, 10, 9, 6, 2.5, 1.5, 1.2, 1, 0.6, 0.2)
SERVICE_HOURS = (
    2,
    1.6,
    1.4,
    1.3,
    1.3,
    1.6,
    2.2,
    3.4,
    5,
    6,
    6.5,
    6.3,
    5.6,
    5.8,
    6.4,
    6.2,
    5.8,
    5,
    4.4,
    4,
    3.8,
    3.4,
    3,
    2.5,
)
NIGHT_HOURS = (9, 14, 16, 12, 5, 2, 0.5, 0.2) + (0.1,) * 14 + (0.8, 3)
OFFICE_WEEKEND, SERVICE_WEEKEND = 0.12, 0.55
