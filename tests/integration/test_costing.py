"""What a request costs by our prices: worked out by hand, and beside an oracle in decimals."""

from datetime import timedelta
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from core_rows import add_team, refused, value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from price_rows import CLASSES, JUNE, MAY, OraclePrice, add_agreement, add_price, computed, cost, costs, oracle

from orchestration.lib.database.connection import Connection

# arithmetic on numeric and text, the same on every engine
pytestmark = pytest.mark.engines("postgres")


def test_cached_tokens_are_priced_as_cached(connection: Connection) -> None:
    for unit, price in (
        ("input_tokens", "3"),
        ("cache_read_tokens", "0.3"),
        ("cache_write_tokens", "3.75"),
        ("output_tokens", "15"),
    ):
        add_price(connection, unit, price)
    found = cost(
        connection,
        input_tokens=1000,
        cache_read_tokens=2000,
        cache_write_tokens=500,
        output_tokens=100,
        reasoning_tokens=50,
    )
    # 1000 x 3 + 2000 x 0.3 + 500 x 3.75 + 150 x 15, in millionths; reasoning is billed as output
    assert found is not None
    assert (found["list_cost"], found["computed_cost"], found["currency"]) == (Decimal("0.007725"),) * 2 + ("USD",)


def test_what_the_list_doesnt_tell_apart_is_billed_as_what_it_is_part_of(connection: Connection) -> None:
    add_price(connection, "input_tokens", "2")
    add_price(connection, "output_tokens", "10")
    add_price(connection, "audio_output_tokens", "64")
    assert computed(connection, cache_read_tokens=10, cache_write_tokens=10, audio_input_tokens=10) == Decimal(
        "0.00006"
    )
    assert computed(connection, reasoning_tokens=10, audio_output_tokens=10) == Decimal("0.00074")


def test_a_class_with_tokens_and_without_a_price_leaves_the_request_unpriced(connection: Connection) -> None:
    add_price(connection, "input_tokens", "2")
    assert computed(connection, input_tokens=1_000_000) == 2
    assert computed(connection, input_tokens=1_000_000, output_tokens=1) is None


def test_unknown_is_never_0(connection: Connection) -> None:
    add_price(connection, "input_tokens", "2")
    assert computed(connection, model="other", input_tokens=5) is None
    # a success without tokens is one of which nobody said the tokens; a failure may really have had none
    assert computed(connection) is None
    assert computed(connection, status="error") == 0
    add_price(connection, "input_tokens", "0", model="free")
    assert computed(connection, model="free", input_tokens=5) == 0


def test_a_price_holds_from_its_first_instant_to_before_its_last(connection: Connection) -> None:
    add_price(connection, "input_tokens", "10", valid_to=JUNE)
    add_price(connection, "input_tokens", "4", valid_from=JUNE)
    before, at = JUNE - timedelta(microseconds=1), JUNE
    found = costs(connection, *({"time": time, "input_tokens": 1_000_000} for time in (MAY, before, at)))
    assert [each and each["computed_cost"] for each in found] == [10, 10, 4]
    ids = [each and each["price_id"] for each in found]
    assert ids[0] == ids[1] != ids[2]


def test_a_context_tier_holds_for_all_tokens_once_it_is_crossed(connection: Connection) -> None:
    for above, read, written in ((0, "1", "10"), (200_000, "2", "15"), (500_000, "4", "15")):
        add_price(connection, "input_tokens", read, context_above=above)
        add_price(connection, "output_tokens", written, context_above=above)
    add_price(connection, "cache_read_tokens", "0.1")
    assert computed(connection, input_tokens=200_000) == Decimal("0.2")
    # cached tokens make the context longer too, and keep their own price
    assert computed(connection, input_tokens=200_000, cache_read_tokens=1) == Decimal("0.4000001")
    assert computed(connection, input_tokens=500_001, output_tokens=1) == Decimal("2.000019")


def test_a_tier_of_service_has_its_own_prices_and_else_an_estimate(connection: Connection) -> None:
    add_price(connection, "input_tokens", "2")
    add_price(connection, "cache_read_tokens", "1")
    add_price(connection, "input_tokens", "6", context_above=100)
    add_price(connection, "input_tokens", "0.5", service_tier="batch")
    batch = cost(connection, service_tier="Batch", input_tokens=1_000_000)
    assert batch
    assert (batch["computed_cost"], batch["is_estimate"]) == (Decimal("0.5"), False)
    assert computed(connection, service_tier="batch", cache_read_tokens=1_000_000) == 1
    for tier, price, is_estimate in (("default", 6, False), ("auto", 6, False), ("flex", 6, True), ("scale", 6, True)):
        found = cost(connection, service_tier=tier, input_tokens=1_000_000)
        assert found
        assert (found["computed_cost"], found["is_estimate"]) == (price, is_estimate)


def test_the_narrowest_price_holds(connection: Connection) -> None:
    add_price(connection, "input_tokens", "1", model="rocket*")
    add_price(connection, "input_tokens", "2", model="rocket-9*")
    add_price(connection, "input_tokens", "3", model="rocket-9-mini")
    add_price(connection, "input_tokens", "5", model="rocket-9-mini", region="eu-*")
    million = {"input_tokens": 1_000_000}
    assert computed(connection, model="rocket-8", **million) == 1
    assert computed(connection, model="rocket-9-maxi", **million) == 2
    assert computed(connection, model="rocket-9-mini", **million) == 3
    assert computed(connection, model="rocket-9-mini", region="eu-west-1", **million) == 5
    # _ and % are no patterns
    add_price(connection, "input_tokens", "7", model="a_b*")
    assert computed(connection, model="axb", **million) is None


def test_what_is_counted_besides_tokens(connection: Connection) -> None:
    add_price(connection, "input_tokens", "1")
    add_price(connection, "requests", "5000")
    add_price(connection, "searches", "10000")
    units = {"searches": 3, "images": 2, "pages": "many"}
    assert computed(connection, input_tokens=10, units=units) == Decimal("0.03501")
    assert computed(connection, input_tokens=10) == Decimal("0.00501")
    assert computed(connection, input_tokens=10, status="error") == Decimal("0.00001")
    # a model that is billed by the hour needs the hours
    add_price(connection, "hours", "40000", model="ear")
    assert computed(connection, model="ear") is None
    assert computed(connection, model="ear", units={"hours": 0.5}) == Decimal("0.02")


def test_a_discount_leaves_the_list_cost_beside_the_own_one(connection: Connection) -> None:
    add_price(connection, "input_tokens", "3")
    add_price(connection, "input_tokens", "3", provider="other")
    add_agreement(connection, provider="acme", discount_percent=Decimal("12.5"), valid_to=JUNE)
    found = cost(connection, input_tokens=1)
    assert found
    assert (found["list_cost"], found["computed_cost"]) == (Decimal("0.000003"), Decimal("0.000002625"))
    assert computed(connection, input_tokens=1, time=JUNE) == Decimal("0.000003")
    assert computed(connection, input_tokens=1, provider="other") == Decimal("0.000003")
    kept = connection.execute(
        "select a.discount_percent, u.list_unit_price, u.unit_price from core.applied_prices as a"
        " join core.applied_unit_prices as u on u.price_id = a.id where a.id = %s and u.unit = 'input_tokens'",
        [found["price_id"]],
    ).fetchall()
    assert kept == [(Decimal("12.5"), 3, Decimal("2.625"))]


def test_a_price_list_of_ones_own_costs_what_it_names_and_the_list_price_else(connection: Connection) -> None:
    add_price(connection, "input_tokens", "3")
    add_price(connection, "output_tokens", "15")
    add_price(connection, "input_tokens", "1", price_list="acme-2026")
    add_price(connection, "input_tokens", "9", price_list="unused")
    add_agreement(connection, price_list="acme-2026")
    found = cost(connection, input_tokens=1_000_000, output_tokens=1_000_000)
    assert found
    assert (found["list_cost"], found["computed_cost"]) == (18, 16)
    # a model of one's own, which no list has
    add_price(connection, "input_tokens", "2", price_list="acme-2026", model="tuned")
    found = cost(connection, model="tuned", input_tokens=1_000_000)
    assert found
    assert (found["list_cost"], found["computed_cost"]) == (None, 2)


def test_the_narrowest_agreement_holds_also_for_the_teams_below(connection: Connection) -> None:
    add_price(connection, "input_tokens", "100")
    above = add_team(connection)
    team = add_team(connection, parent_team_id=above)
    below = add_team(connection, parent_team_id=team)
    stranger = add_team(connection)
    for percent, scope in (
        (1, {}),
        (2, {"provider": "acme"}),
        (3, {"provider": "acme", "model": "rock*"}),
        (4, {"model": "rocket"}),
        (10, {"team_id": above}),
        (11, {"team_id": above, "model": "rocket"}),
        (20, {"team_id": team}),
    ):
        add_agreement(connection, discount_percent=percent, **scope)
    found = costs(
        connection, *({"input_tokens": 1_000_000, "team_id": t} for t in (None, stranger, above, team, below))
    )
    assert [each and each["computed_cost"] for each in found] == [96, 96, 89, 80, 80]


def test_a_currency_is_never_taken_for_another(connection: Connection) -> None:
    add_price(connection, "input_tokens", "3", currency="EUR")
    found = cost(connection, input_tokens=1_000_000)
    assert found
    assert (found["computed_cost"], found["currency"]) == (3, "EUR")
    # beside a cost in dollars stands no price in euros
    assert computed(connection, input_tokens=1_000_000, currency="USD") is None
    add_price(connection, "input_tokens", "4", currency="USD")
    assert computed(connection, input_tokens=1_000_000) == 4
    assert computed(connection, input_tokens=1_000_000, currency="EUR") == 3


def test_a_superseded_price_is_out_of_use_and_stays_readable(connection: Connection) -> None:
    wrong = add_price(connection, "input_tokens", "9")
    first = cost(connection, input_tokens=1_000_000)
    connection.execute("update core.model_prices set superseded_at = now() where id = %s", [wrong])
    assert computed(connection, input_tokens=1_000_000) is None
    add_price(connection, "input_tokens", "8")
    assert computed(connection, input_tokens=1_000_000) == 8
    assert first
    applied = "select unit_price from core.applied_unit_prices where unit = 'input_tokens' and price_id = %s"
    assert value(connection, applied, first["price_id"]) == 9


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ("update core.model_prices set unit_price = 1", psycopg.errors.RestrictViolation, "cannot be changed"),
        ("delete from core.model_prices", psycopg.errors.RestrictViolation, "cannot be deleted"),
        ("truncate core.model_prices cascade", psycopg.errors.RestrictViolation, "cannot be emptied"),
    ],
)
def test_a_price_stays_what_it_was(connection: Connection, change: str, error: type[psycopg.Error], match: str) -> None:
    add_price(connection, "input_tokens", "9")
    with refused(connection, error, match):
        connection.execute(change.encode())


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"valid_from": MAY}, "model_prices_key_excl"),
        ({"price": "-1"}, "model_prices_unit_price_check"),
        ({"price": "NaN"}, "model_prices_unit_price_check"),
        ({"valid_from": JUNE, "valid_to": MAY, "model": "x"}, "model_prices_valid_to_check"),
        ({"unit": "parrots"}, "model_prices_unit_check"),
        ({"service_tier": "gold"}, "model_prices_service_tier_check"),
        ({"date_basis": "felt"}, "model_prices_date_basis_check"),
        ({"currency": "usd"}, "model_prices_currency_check"),
        ({"provider": "Acme"}, "model_prices_provider_check"),
        ({"model": "x", "valid_from": None}, "valid_from"),
    ],
)
def test_a_bad_price_is_refused(connection: Connection, values: dict[str, Any], constraint: str) -> None:
    add_price(connection, "input_tokens", "9")
    given = dict(values)
    with refused(connection, psycopg.errors.IntegrityError, constraint):
        add_price(connection, given.pop("unit", "input_tokens"), given.pop("price", "1"), **given)


def test_agreements_of_a_scope_dont_overlap_and_say_one_thing(connection: Connection) -> None:
    add_agreement(connection, provider="acme", discount_percent=5)
    with refused(connection, psycopg.errors.ExclusionViolation, "price_agreements_scope_excl"):
        add_agreement(connection, provider="acme", discount_percent=6, valid_from=MAY)
    for values in ({}, {"discount_percent": 5, "price_list": "mine"}):
        with refused(connection, psycopg.errors.CheckViolation, "price_agreements_kind_check"):
            add_agreement(connection, model="m", **values)
    with refused(connection, psycopg.errors.CheckViolation, "price_agreements_discount_percent_check"):
        add_agreement(connection, model="m", discount_percent=101)


def _prices() -> st.SearchStrategy[list[OraclePrice]]:
    amounts = st.decimals(min_value=0, max_value=1000, places=7)
    spans = st.sampled_from([[None, None], [None, 10, None], [5, 10, 20, None]])

    def of_key(drawn: tuple[str, str, int, list[int | None], list[Decimal]]) -> list[OraclePrice]:
        unit, tier, above, turns, prices = drawn
        return [
            OraclePrice(unit, price, tier, above, starts, ends)
            for (starts, ends), price in zip(pairwise(turns), prices, strict=False)
        ]

    keys = st.lists(
        st.tuples(st.sampled_from(CLASSES), st.sampled_from(["standard", "batch"]), st.sampled_from([0, 100, 1000])),
        unique=True,
        min_size=1,
        max_size=12,
    )
    return keys.flatmap(
        lambda some: st.tuples(
            *(
                st.tuples(*(st.just(part) for part in key), spans, st.lists(amounts, min_size=3, max_size=3)).map(
                    of_key
                )
                for key in some
            )
        )
    ).map(lambda found: [price for prices in found for price in prices])


_REQUESTS = st.lists(
    st.fixed_dictionaries(
        {
            "time": st.integers(0, 31 * 24 * 60).map(lambda minutes: MAY + timedelta(minutes=minutes)),
            "service_tier": st.sampled_from(["standard", "batch"]),
            "status": st.sampled_from(["success", "error"]),
            **{name: st.sampled_from([0, 0, 1, 99, 100, 1001, 10**9]) for name in CLASSES},
        }
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_prices(), st.sampled_from([Decimal(0), Decimal("12.5"), Decimal("33.333")]), _REQUESTS)
def test_costs_equal_the_oracle(
    connection: Connection, prices: list[OraclePrice], discount: Decimal, requests: list[dict[str, Any]]
) -> None:
    with connection.transaction(force_rollback=True), localcontext(prec=80):
        for price in prices:
            start = "-infinity" if price.starts is None else MAY + timedelta(days=price.starts)
            end = None if price.ends is None else MAY + timedelta(days=price.ends)
            add_price(
                connection,
                price.unit,
                price.amount,
                service_tier=price.tier,
                context_above=price.above,
                valid_from=start,
                valid_to=end,
            )
        if discount:
            add_agreement(connection, discount_percent=discount, provider="acme")
        found = costs(connection, *requests)
        by_hand = [oracle(prices, discount, request) for request in requests]
        assert [each and (each["list_cost"], each["computed_cost"]) for each in found] == by_hand
