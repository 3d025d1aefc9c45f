"""What the list that ships makes of a request is what the package that it comes from makes of it."""

import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price, data_snapshot
from genai_prices.types import ConditionalPrice, TimeOfDateConstraint

from orchestration.lib.database.connection import Connection
from orchestration.lib.usage.record import TOKEN_CLASSES

pytestmark = pytest.mark.engines("postgres")

# the list's own names of providers are looked up like those of a source
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
NO_TOKENS = dict.fromkeys(TOKEN_CLASSES, 0)


def by_the_hour(prices: object) -> bool:
    """Not taken over: a price that depends on the hour of the day."""
    parts = prices if isinstance(prices, list) else []
    return any(
        isinstance(each, ConditionalPrice) and isinstance(each.constraint, TimeOfDateConstraint) for each in parts
    )


def test_models_of_the_list_cost_what_the_package_says(connection: Connection) -> None:
    """A request to each of some hundred, another choice each day, some longer than any context tier."""
    draw = random.Random(datetime.now(UTC).toordinal())
    models = [
        (provider.id, model.id)
        for provider in data_snapshot.get_snapshot().providers
        for model in provider.models
        if not by_the_hour(model.prices)
    ]
    # Z.ai and its platform in China have the same models at prices of their own
    models = [pair for pair in models if pair[0] in ("zai", "zhipuai")] + draw.sample(models, 400)
    requests = []
    for _ in models:
        fresh = draw.choice([draw.randint(1, 50_000), draw.randint(200_000, 1_500_000)])
        read, written, made = (draw.choice([0, draw.randint(1, 9_000)]) for _ in range(3))
        requests.append({"input_tokens": fresh, "cache_read_tokens": read, "cache_write_tokens": written,
                         "output_tokens": made})  # fmt: skip
    names = ", ".join(TOKEN_CLASSES)
    connection.execute(
        "create temporary table asked as select 0::bigint as line, time, provider, model, service_tier, region,"
        f" team_id, currency, status, metadata as units, {names} from core.llm_metrics where false".encode()
    )
    counts = ", ".join(["%s"] * len(TOKEN_CLASSES))
    with connection.cursor() as cursor:
        cursor.executemany(
            f"insert into asked (line, time, provider, model, status, {names})"
            f" values (%s, %s, %s, %s, 'success', {counts})".encode(),
            [
                [line, AT, provider, model, *(NO_TOKENS | request).values()]
                for line, ((provider, model), request) in enumerate(zip(models, requests, strict=True))
            ],
        )
    ours: dict[int, Decimal] = dict(
        connection.execute(
            "select line, computed_cost from internal.cost_requests('select * from pg_temp.asked', false)"
        ).fetchall()
    )
    compared = 0
    different: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for line, ((provider, model), request) in enumerate(zip(models, requests, strict=True)):
        usage = Usage(
            input_tokens=request["input_tokens"] + request["cache_read_tokens"] + request["cache_write_tokens"],
            cache_read_tokens=request["cache_read_tokens"],
            cache_write_tokens=request["cache_write_tokens"],
            output_tokens=request["output_tokens"],
        )
        try:
            theirs = calc_price(usage, model_ref=model, provider_id=provider, genai_request_timestamp=AT).total_price
        except (LookupError, ValueError):
            # it doesn't find its own name by what stands before it
            continue
        # a model without a price for a class that was used has no cost here, and a lower one there
        if line in ours:
            compared += 1
            if abs(ours[line] - theirs) > Decimal("1e-12"):
                different[provider, model] = (ours[line], theirs)
    assert different == {}
    assert compared > 200
