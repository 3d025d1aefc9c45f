"""Teams, their money and their members."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from core_rows import add, add_team, add_user, refused, value
from psycopg.errors import CheckViolation, ExclusionViolation, UniqueViolation

from orchestration.lib.database.connection import Connection

NOW = datetime.now(UTC)


def day(n: int) -> datetime:
    return NOW + timedelta(days=n)


@pytest.mark.parametrize(
    "amount", ["0", "0.01", "100.0000000000000", "999999999999999.0123456789", "0.1000000000000000055511151231257827"]
)
def test_budgets_that_are_taken_keep_every_digit(connection: Connection, amount: str) -> None:
    team = add_team(connection, budget_amount=amount, currency="EUR")
    assert value(connection, "select budget_amount::text from core.teams where id = %s", team) == amount


@pytest.mark.parametrize("amount", ["-0.01", "NaN", "Infinity", "-Infinity", "1e300", "1000000000000000", "1e-41"])
def test_budgets_that_are_no_amount_of_money_are_refused(connection: Connection, amount: str) -> None:
    with refused(connection, CheckViolation, "teams_budget_amount_check"):
        add_team(connection, budget_amount=amount)


@pytest.mark.parametrize("currency", ["usd", "US", "USDT", "", "$"])
def test_a_currency_is_three_capitals(connection: Connection, currency: str) -> None:
    with refused(connection, CheckViolation, "teams_currency_check"):
        add_team(connection, currency=currency)


def test_a_team_that_names_no_currency_has_the_default_one(connection: Connection) -> None:
    team = add_team(connection)
    default = value(connection, "select value from internal.settings where name = 'default_currency'")
    assert value(connection, "select currency from core.teams where id = %s", team) == default


def test_periods_are_those_of_the_calendar(connection: Connection) -> None:
    for period in ("day", "month", "quarter", "year"):
        add_team(connection, budget_period=period)
    with refused(connection, CheckViolation, "teams_budget_period_check"):
        add_team(connection, budget_period="30 days")


def test_two_teams_may_share_a_name_but_not_a_slug(connection: Connection) -> None:
    add_team(connection, name="Platform", slug="platform")
    add_team(connection, name="Platform", slug="platform-2")
    with refused(connection, UniqueViolation, "teams_slug_key"):
        add_team(connection, name="Another", slug="platform")


@pytest.mark.parametrize(
    ("first", "second", "is_taken"),
    [
        ({}, {"joined_at": day(9)}, False),
        ({"left_at": day(5)}, {"joined_at": day(4)}, False),
        ({"left_at": day(5)}, {"joined_at": day(5)}, True),
        ({"left_at": day(0)}, {}, True),
        ({"left_at": day(5)}, {"joined_at": day(-9), "left_at": day(0)}, True),
        ({"left_at": day(5)}, {"joined_at": day(-9), "left_at": day(1)}, False),
    ],
)
def test_one_membership_at_a_time(
    connection: Connection, first: dict[str, Any], second: dict[str, Any], is_taken: bool
) -> None:
    membership = {"team_id": add_team(connection), "user_id": add_user(connection), "joined_at": day(0)}
    add(connection, "team_members", **membership | first)
    add(connection, "team_members", **membership | {"team_id": add_team(connection)})
    if is_taken:
        add(connection, "team_members", **membership | second)
    else:
        with refused(connection, ExclusionViolation, "team_members_team_id_user_id_excl"):
            add(connection, "team_members", **membership | second)


def test_a_membership_that_ended_is_not_lengthened_into_the_next(connection: Connection) -> None:
    membership = {"team_id": add_team(connection), "user_id": add_user(connection)}
    ended = add(connection, "team_members", **membership, joined_at=day(0), left_at=day(5))
    add(connection, "team_members", **membership, joined_at=day(5))
    with refused(connection, ExclusionViolation, "team_members_team_id_user_id_excl"):
        connection.execute("update core.team_members set left_at = null where id = %s", [ended])


def test_nobody_leaves_before_they_join(connection: Connection) -> None:
    with refused(connection, CheckViolation, "team_members_left_at_check"):
        add(
            connection,
            "team_members",
            team_id=add_team(connection),
            user_id=add_user(connection),
            joined_at=day(0),
            left_at=day(-1),
        )
