"""The price list that ships, and the files and changes of price lists."""

import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices.data import providers
from genai_prices.types import Usage
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.lib.errors import GovernanceError
from orchestration.lib.pricing.genai_list import write_list
from orchestration.lib.pricing.price_changes import Changes, plan
from orchestration.lib.pricing.price_file import Price, parse_prices
from orchestration.lib.settings import project_dir

SHIPPED = project_dir() / "seeds" / "model_price_list.csv"
HEADER = "price_list,provider,model,service_tier,context_above,region,currency,valid_from,valid_to,input_tokens,origin"
OBSERVED = date(2026, 11, 28)


def test_the_package_gives_the_file_that_ships_byte_for_byte() -> None:
    made = io.StringIO(newline="")
    write_list(made)
    assert made.getvalue() == SHIPPED.read_bytes().decode()


def test_the_file_that_ships_is_one_that_can_be_imported() -> None:
    prices = parse_prices(SHIPPED.name, SHIPPED.read_bytes())
    changes = plan([], prices, OBSERVED)
    assert len(changes.add) == len(prices)
    assert set(changes.add) == set(prices)
    assert {price.key.provider for price in prices} == {provider.id for provider in providers if provider.models}


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_its_prices_are_those_of_the_package(data: st.DataObject) -> None:
    provider = data.draw(st.sampled_from([each for each in providers if each.id in ("openai", "anthropic", "google")]))
    model = data.draw(st.sampled_from(provider.models))
    at = data.draw(st.integers(0, 730).map(lambda days: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=days)))
    context = data.draw(st.sampled_from([None, {"processing": "batch"}, {"service_tier": "flex"}]))
    tokens = data.draw(st.sampled_from([1, 199_999, 200_001, 300_000]))
    tier = {None: "standard", "batch": "batch", "flex": "flex"}[next(iter(context.values())) if context else None]
    standard = _amounts(provider.id, model.id, "standard", at, tokens)
    amounts = standard | _amounts(provider.id, model.id, tier, at, tokens)
    if "input_tokens" not in standard:
        return
    usage = Usage(input_tokens=tokens, output_tokens=7)
    expected = model.calc_price(usage, provider, genai_request_timestamp=at, price_context=context)
    output = amounts.get("output_tokens", Decimal(0)) * 7
    fee = amounts.get("requests", Decimal(0))
    assert (tokens * amounts["input_tokens"] + output + fee) / 1_000_000 == expected.total_price


def _amounts(provider: str, model: str, tier: str, at: datetime, tokens: int) -> dict[str, Decimal]:
    held = [
        price
        for price in _BY_MODEL.get((provider, model, tier), [])
        if (not price.starts or price.starts <= at)
        and (not price.ends or at < price.ends)
        and (not price.key.context_above or tokens > price.key.context_above)
    ]
    return {price.key.unit: price.amount for price in sorted(held, key=lambda price: price.key.context_above)}


_BY_MODEL: dict[tuple[str, str, str], list[Price]] = {}
for _price in parse_prices(SHIPPED.name, SHIPPED.read_bytes()):
    _BY_MODEL.setdefault((_price.key.provider, _price.key.model, _price.key.service_tier), []).append(_price)


def prices_of(tmp_path: Path, *lines: str, header: str = HEADER) -> list[Price]:
    path = tmp_path / "prices.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return parse_prices(path.name, path.read_bytes())


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_list_may_be_separated_as_spreadsheets_do(separator: str) -> None:
    content = "\ufeffprovider;model;valid_from;input_tokens\r\nacme;m;2026-01-01;1.25\r\n;;;\r\n".replace(
        ";", separator
    )
    (price,) = parse_prices("prices.csv", content.encode())
    assert (price.key.model, price.amount, price.line) == ("m", Decimal("1.25"), 2)


@pytest.mark.parametrize(
    ("line", "match"),
    [
        (",acme,m,,,,,2026-01-01,,-1,", r"prices.csv, line 2: the price of input_tokens is negative \(-1\)"),
        (',acme,m,,,,,2026-01-01,,"1,25",', "write the amount per million with a point"),
        (",acme,m,,,,,2026-01-01,,,", "there is no price"),
        (",acme,m,,,,,,,1,", "valid_from is missing: give the first day, or always"),
        (",acme,m,,,,,1.2.2026,,1,", "not a day such as 2026-11-28"),
        (",acme,m,,,,,2026-01-01T10:00:00,,1,", "without a zone"),
        (",acme,m,,,,,2026-02-01,2026-01-01,1,", "valid_to is not after valid_from"),
        (",acme,m,gold,,,,2026-01-01,,1,", "service_tier is 'gold', not one of standard, batch, flex, priority"),
        (",acme,m,,many,,,2026-01-01,,1,", "context_above is 'many', not a number of tokens"),
        (",acme,m,,,,usd,2026-01-01,,1,", "currency is 'usd', not a code of three capital letters"),
        ("My List,acme,m,,,,,2026-01-01,,1,", "price_list is 'My List'"),
        (",acme,m,2026-01-01,1", "5 values for 11 columns"),
    ],
)
def test_a_bad_line_is_one_clear_sentence(tmp_path: Path, line: str, match: str) -> None:
    with pytest.raises(GovernanceError, match=match):
        prices_of(tmp_path, line)


def test_a_bad_header_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(GovernanceError, match="has no column valid_from"):
        prices_of(tmp_path, header="provider,model,input_tokens")
    with pytest.raises(GovernanceError, match="has the column 'tokens', which no price list has"):
        prices_of(tmp_path, header="provider,model,valid_from,tokens")


def planned(tmp_path: Path, present: list[Price], *lines: str) -> Changes:
    return plan(present, prices_of(tmp_path, *lines), OBSERVED)


def test_an_overlap_and_a_gap_name_their_lines(tmp_path: Path) -> None:
    with pytest.raises(
        GovernanceError, match="line 2 and line 3: both have a price for input_tokens of acme/m on 2026-02-01"
    ):
        planned(tmp_path, [], ",acme,m,,,,,2026-01-01,,1,", ",acme,m,,,,,2026-02-01,,2,")
    with pytest.raises(GovernanceError, match="line 2 and line 3: from 2026-02-01 to 2026-03-01 there is no price"):
        planned(tmp_path, [], ",acme,m,,,,,2026-01-01,2026-02-01,1,", ",acme,m,,,,,2026-03-01,,2,")
    ended = prices_of(tmp_path, ",acme,m,,,,,2026-01-01,2026-02-01,1,")
    with pytest.raises(GovernanceError, match="line 2: from 2026-02-01 to 2026-03-01 there would be no price"):
        planned(tmp_path, ended, ",acme,m,,,,,2026-03-01,,2,")


def test_a_thousand_times_the_list_is_a_price_of_something_else(tmp_path: Path) -> None:
    present = prices_of(tmp_path, ",acme,m,,,,,always,,2.5,")
    for line in (",acme,m,,,,,2026-01-01,,2500,", "mine,acme,m,,,,,2026-01-01,,2500,", ",acme,new,,,,,always,,9999,"):
        with pytest.raises(GovernanceError, match="times the list's 2.5: prices are per million"):
            planned(tmp_path, present, line)
    assert planned(tmp_path, present, "mine,acme,m,,,,,2026-01-01,,2499,").add


def test_a_price_ends_where_the_next_one_begins(tmp_path: Path) -> None:
    present = prices_of(tmp_path, ",acme,m,,,,,always,,2.5,")
    changes = planned(tmp_path, present, ",acme,m,,,,,2026-12-01,,2,")
    assert [(price.amount, when) for price, when in changes.end] == [
        (Decimal("2.5"), datetime(2026, 12, 1, tzinfo=UTC))
    ]
    assert [price.amount for price in changes.add] == [2]
    assert not changes.supersede
    assert changes.earliest == datetime(2026, 12, 1, tzinfo=UTC)


def test_what_is_there_changes_nothing(tmp_path: Path) -> None:
    present = prices_of(tmp_path, ",acme,m,,,,,always,,2.5,")
    for line in (",acme,m,,,,,always,,2.50,", ",acme,m,,,,,2026-01-01,,2.5,"):
        changes = planned(tmp_path, present, line)
        assert not changes
        assert changes.unchanged == 1


def test_a_list_that_says_another_price_without_a_day_is_an_observation(tmp_path: Path) -> None:
    present = prices_of(tmp_path, ",acme,m,,,,,always,,2.5,")
    changes = planned(tmp_path, present, ",acme,m,,,,,always,,2,")
    observed = datetime(2026, 11, 28, tzinfo=UTC)
    assert [when for _, when in changes.end] == [observed]
    assert [(price.starts, price.date_basis) for price in changes.add] == [(observed, "assumed")]


def test_a_price_that_was_wrong_is_superseded_and_what_is_left_of_it_stays(tmp_path: Path) -> None:
    present = prices_of(tmp_path, ",acme,m,,,,,2026-01-01,,2.5,")
    changes = planned(tmp_path, present, ",acme,m,,,,,2026-01-01,,2,")
    assert [price.amount for price in changes.supersede] == [Decimal("2.5")]
    assert [price.amount for price in changes.add] == [2]
    # of a month in its middle
    changes = planned(tmp_path, present, ",acme,m,,,,,2026-03-01,2026-04-01,2,")
    days = [
        (price.starts and price.starts.month, price.ends and price.ends.month, price.amount) for price in changes.add
    ]
    assert days == [(1, 3, Decimal("2.5")), (4, None, Decimal("2.5")), (3, 4, 2)]


def test_what_a_newer_list_no_longer_has_stays(tmp_path: Path) -> None:
    present = prices_of(tmp_path, ",acme,m,,,,,always,,2.5,the-list 1.0", ",acme,mine,,,,,always,,2.5,contract")
    changes = planned(tmp_path, present, ",acme,n,,,,,always,,2.5,the-list 1.1")
    assert [price.key.model for price in changes.gone] == ["m"]
    assert not changes.end
    assert not changes.supersede
