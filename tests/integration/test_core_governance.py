"""Policy rules, versions and assignments."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from core_rows import add, add_policy, add_team, add_user, refused, value
from psycopg.errors import CheckViolation, ExclusionViolation, ForeignKeyViolation, UniqueViolation

from orchestration.lib.database.connection import Connection

NOW = datetime.now(UTC)


def day(n: int) -> datetime:
    return NOW + timedelta(days=n)


RULES_TAKEN = [
    ("cost_limit", '{"daily": "100.00", "monthly": "2000.00", "currency": "USD"}'),
    ("cost_limit", '{"yearly": "0", "currency": "EUR"}'),
    ("rate_limit", '{"requests_per_minute": 60, "tokens_per_minute": 100000}'),
    ("content_filter", '{"detect": ["email", "phone"], "action": "block"}'),
    ("security", '{"require_mfa": true, "max_session_hours": 12, "max_key_age_days": 90}'),
    ("security", '{"require_mfa": false}'),
    ("model_allowlist", '{"models": ["openai/gpt-4o*"]}'),
    ("data_residency", '{"regions": ["eu-*", "ch"]}'),
    ("cost_limit", '{"daily": "10", "monthly": "10.00", "yearly": "9999.5", "currency": "EUR"}'),
    ("rate_limit", '{"requests_per_minute": 60, "requests_per_hour": 60, "tokens_per_minute": 5, "tokens_per_day": 5}'),
]
RULES_REFUSED = [
    ("cost_limit", '["100.00"]', "cost_limit rules must be an object, not array"),
    ("cost_limit", "{}", 'key "currency" is missing'),
    ("cost_limit", '{"currency": "USD"}', "at least one of daily, monthly, quarterly, yearly is needed"),
    ("cost_limit", '{"dayly": "1", "currency": "USD"}', 'key "dayly" is not known; known are currency, daily'),
    ("cost_limit", '{"daily": 100.00, "currency": "USD"}', 'key "daily" is 100.00, but must be an amount as a string'),
    ("cost_limit", '{"daily": "-1", "currency": "USD"}', 'key "daily" is "-1"'),
    ("cost_limit", '{"daily": "NaN", "currency": "USD"}', 'key "daily" is "NaN"'),
    ("cost_limit", '{"daily": "1e3", "currency": "USD"}', 'key "daily" is "1e3"'),
    ("cost_limit", '{"daily": "1", "currency": "usd"}', 'key "currency" is "usd"'),
    ("cost_limit", '{"daily": null, "currency": "USD"}', 'key "daily" is null'),
    (
        "cost_limit",
        '{"daily": "10", "monthly": "5", "currency": "USD"}',
        'key "monthly" is 5, which is below 10 of key "daily"',
    ),
    (
        "cost_limit",
        '{"daily": "10", "yearly": "9.99", "currency": "USD"}',
        'key "yearly" is 9.99, which is below 10 of key',
    ),
    ("cost_limit", '{"monthly": "9", "quarterly": "9.5", "yearly": "9.2", "currency": "USD"}', 'key "yearly" is 9.2'),
    ("cost_limit", '{"daily": "1234567890123456", "currency": "USD"}', 'key "daily" is "1234567890123456"'),
    (
        "rate_limit",
        '{"requests_per_minute": 60, "requests_per_day": 59}',
        'key "requests_per_day" is 59, which is below 60',
    ),
    ("rate_limit", '{"tokens_per_hour": 60, "tokens_per_day": 59}', 'key "tokens_per_day" is 59, which is below 60'),
    ("rate_limit", "{}", "at least one of requests_per_day"),
    ("rate_limit", '{"requests_per_minute": 0}', 'key "requests_per_minute" is 0, but must be a whole number above 0'),
    ("rate_limit", '{"requests_per_minute": 1.5}', 'key "requests_per_minute" is 1.5'),
    ("rate_limit", '{"requests_per_minute": "60"}', 'key "requests_per_minute" is "60"'),
    ("rate_limit", '{"daily": "1"}', 'rate_limit rules: key "daily" is not known'),
    ("content_filter", '{"detect": ["email"]}', 'key "action" is missing'),
    ("content_filter", '{"detect": [], "action": "block"}', 'key "detect" is .*, but must be a list'),
    ("content_filter", '{"detect": "email", "action": "block"}', 'key "detect" is "email"'),
    ("content_filter", '{"detect": ["email", 1], "action": "block"}', 'key "detect"'),
    ("content_filter", '{"detect": ["email", "email"], "action": "block"}', 'key "detect"'),
    ("content_filter", '{"detect": ["E-Mail"], "action": "block"}', 'key "detect"'),
    ("content_filter", '{"detect": ["email"], "action": "shout"}', 'key "action" is "shout"'),
    ("security", '{"require_mfa": "yes"}', 'key "require_mfa" is "yes", but must be true or false'),
    ("security", '{"max_session_hours": -1}', 'key "max_session_hours" is -1'),
    ("model_allowlist", '{"models": ["gpt 4"]}', 'key "models"'),
    ("model_allowlist", '{"models": [""]}', 'key "models"'),
    ("data_residency", '{"regions": []}', 'key "regions"'),
    ("data_residency", '{"regions": ["eu-\\u200b*"]}', 'key "regions"'),
    ("model_allowlist", f'{{"models": ["{"x" * 201}"]}}', 'key "models"'),
    ("model_allowlist", json.dumps({"models": [f"m{n}" for n in range(1001)]}), 'key "models"'),
]


@pytest.mark.parametrize(("policy_type", "rules"), RULES_TAKEN)
def test_rules_that_are_taken(connection: Connection, policy_type: str, rules: str) -> None:
    add_policy(connection, policy_type=policy_type, rules=rules)


@pytest.mark.parametrize(("policy_type", "rules", "message"), RULES_REFUSED)
def test_rules_that_are_refused_with_the_key_named(
    connection: Connection, policy_type: str, rules: str, message: str
) -> None:
    with refused(connection, CheckViolation, message):
        add_policy(connection, policy_type=policy_type, rules=rules)


def test_rules_of_an_unknown_type_are_refused(connection: Connection) -> None:
    with refused(connection, CheckViolation, 'policy type "astrology" is not known'):
        connection.execute("select internal.validate_policy_rules('astrology', '{}')")


def publish(connection: Connection, slug: str, version: int, **values: Any) -> UUID:
    return add_policy(connection, slug=slug, version=version, is_active=True, **values)


def assign(connection: Connection, policy: UUID, **values: Any) -> UUID:
    return add(connection, "policy_assignments", policy_id=policy, **values)


def periods(connection: Connection, policy: UUID) -> list[tuple[UUID, datetime, datetime | None]]:
    """Target, begin and end of each assignment of a version that held for a while."""
    return connection.execute(
        "select coalesce(team_id, user_id), effective_from, expires_at from core.policy_assignments"
        " where policy_id = %s and effective_from < coalesce(expires_at, 'infinity') order by effective_from, 1",
        [policy],
    ).fetchall()


def test_one_row_per_version(connection: Connection) -> None:
    add_policy(connection, slug="limits", version=1)
    with refused(connection, UniqueViolation, "policies_slug_version_key"):
        add_policy(connection, slug="limits", version=1)
    add_policy(connection, slug="limits", version=2)


def test_publishing_a_version_ends_the_one_before_and_takes_over_its_open_assignments(connection: Connection) -> None:
    team, user, left = add_team(connection), add_user(connection), add_team(connection)
    first = publish(connection, "limits", 1, effective_from=day(-30))
    assign(connection, first, team_id=team, effective_from=day(-20))
    assign(connection, first, user_id=user, effective_from=day(-20), expires_at=day(20))
    assign(connection, first, team_id=left, effective_from=day(-20), expires_at=day(-10))

    second = publish(connection, "limits", 2)

    now = value(connection, "select now()")
    states = connection.execute(
        "select version, is_active, effective_from, effective_to from core.policies where slug = 'limits' order by 1"
    ).fetchall()
    assert states == [(1, False, day(-30), now), (2, True, now, None)]
    assert sorted(periods(connection, first)) == sorted(
        [(team, day(-20), now), (user, day(-20), now), (left, day(-20), day(-10))]
    )
    assert sorted(periods(connection, second)) == sorted([(team, now, None), (user, now, day(20))])


def test_a_draft_changes_nothing_until_it_is_published(connection: Connection) -> None:
    team = add_team(connection)
    first = publish(connection, "limits", 1, effective_from=day(-30))
    assign(connection, first, team_id=team, effective_from=day(-30))
    draft = add_policy(connection, slug="limits", version=2, effective_from=day(-5))
    assert value(connection, "select is_active from core.policies where id = %s", first)
    assert periods(connection, first) == [(team, day(-30), None)]

    connection.execute("update core.policies set is_active = true where id = %s", [draft])

    now = value(connection, "select now()")
    assert value(connection, "select effective_from from core.policies where id = %s", draft) == now
    assert (periods(connection, first), periods(connection, draft)) == ([(team, day(-30), now)], [(team, now, None)])


def test_a_version_can_be_published_ahead(connection: Connection) -> None:
    team, later = add_team(connection), add_team(connection)
    first = publish(connection, "limits", 1, effective_from=day(-30))
    assign(connection, first, team_id=team, effective_from=day(-30))
    assign(connection, first, team_id=later, effective_from=day(7))
    second = publish(connection, "limits", 2, effective_from=day(3))
    assert periods(connection, first) == [(team, day(-30), day(3))]
    assert periods(connection, second) == [(team, day(3), None), (later, day(7), None)]


def states(connection: Connection, slug: str) -> list[tuple[int, str, bool, int]]:
    """Version, state, whether it is in force, and teams it is assigned to, as the report says."""
    return connection.execute(
        "select version, state, is_active, assigned_teams from reporting.policy_compliance_view where slug = %s"
        " order by version",
        [slug],
    ).fetchall()


def test_until_a_version_begins_the_one_before_is_in_force(connection: Connection) -> None:
    team = add_team(connection)
    first = publish(connection, "limits", 1, effective_from=day(-30))
    assign(connection, first, team_id=team, effective_from=day(-30))
    publish(connection, "limits", 2, effective_from=day(3))
    add_policy(connection, slug="limits", version=3, effective_from=day(-1), effective_to=day(9))
    assert states(connection, "limits") == [
        (1, "in force", True, 1),
        (2, "scheduled", False, 0),
        (3, "draft", False, 0),
    ]


def test_what_ended_by_the_clock_is_not_in_force_and_reaches_nobody(connection: Connection) -> None:
    team = add_team(connection)
    policy = publish(connection, "limits", 1, effective_from=day(-30), effective_to=day(1))
    assign(connection, policy, team_id=team, effective_from=day(-30))
    assert states(connection, "limits") == [(1, "in force", True, 1)]
    connection.execute("update core.policies set effective_to = now() where id = %s", [policy])
    assert states(connection, "limits") == [(1, "ended", False, 0)]
    # a version after it takes over what was assigned, and doesn't lengthen it
    second = publish(connection, "limits", 2)
    now = value(connection, "select now()")
    assert value(connection, "select effective_to from core.policies where id = %s", policy) == now
    assert periods(connection, second) == [(team, now, None)]
    assert states(connection, "limits") == [(1, "ended", False, 0), (2, "in force", True, 1)]


def test_a_later_version_does_not_bring_back_days_after_the_end_of_the_one_before(connection: Connection) -> None:
    first = publish(connection, "limits", 1, effective_from=day(-30), effective_to=day(1))
    connection.execute("update core.policies set effective_to = %s where id = %s", [day(-9), first])
    publish(connection, "limits", 2, effective_from=day(-20))
    periods_in_force = connection.execute(
        "select effective_from, effective_to from core.policies where slug = 'limits' order by version"
    ).fetchall()
    assert periods_in_force == [(day(-30), day(-9)), (value(connection, "select now()"), None)]


def test_a_version_that_comes_before_a_scheduled_one_takes_its_place(connection: Connection) -> None:
    team = add_team(connection)
    first = publish(connection, "limits", 1, effective_from=day(-30))
    assign(connection, first, team_id=team, effective_from=day(-30))
    second = publish(connection, "limits", 2, effective_from=day(3))
    third = publish(connection, "limits", 3)
    now = value(connection, "select now()")
    assert states(connection, "limits") == [
        (1, "ended", False, 0),
        (2, "ended", False, 0),
        (3, "in force", True, 1),
    ]
    assert (periods(connection, first), periods(connection, second)) == ([(team, day(-30), now)], [])
    assert periods(connection, third) == [(team, now, day(3)), (team, day(3), None)]


def test_a_scheduled_version_that_is_taken_back_does_not_come_again(connection: Connection) -> None:
    publish(connection, "limits", 1, effective_from=day(-30))
    second = publish(connection, "limits", 2, effective_from=day(3))
    connection.execute("update core.policies set is_active = false where id = %s", [second])
    assert [row[:2] for row in states(connection, "limits")] == [(1, "in force"), (2, "ended")]
    with refused(connection, CheckViolation, "version 2 has ended and cannot come back; publish a new version"):
        connection.execute("update core.policies set is_active = true where id = %s", [second])


def test_a_version_has_the_type_of_those_before_it(connection: Connection) -> None:
    publish(connection, "limits", 1)
    message = 'policy "limits" is a rate_limit since version 1, so version 2 cannot be a security; give it a slug'
    with refused(connection, CheckViolation, message):
        publish(connection, "limits", 2, policy_type="security", rules={"require_mfa": True})
    draft = add_policy(connection, slug="limits", version=3, policy_type="security", rules={"require_mfa": True})
    with refused(connection, CheckViolation, "so version 3 cannot be a security"):
        connection.execute("update core.policies set is_active = true where id = %s", [draft])


def test_an_assignment_prepared_for_the_draft_is_kept(connection: Connection) -> None:
    team = add_team(connection)
    first = publish(connection, "limits", 1, effective_from=day(-30))
    assign(connection, first, team_id=team, effective_from=day(-30))
    draft = add_policy(connection, slug="limits", version=2)
    assign(connection, draft, team_id=team, effective_from=day(-1), expires_at=day(9))
    connection.execute("update core.policies set is_active = true where id = %s", [draft])
    assert periods(connection, draft) == [(team, day(-1), day(9))]
    assert periods(connection, first) == [(team, day(-30), value(connection, "select now()"))]


def test_other_drafts_and_other_policies_keep_their_assignments(connection: Connection) -> None:
    team = add_team(connection)
    other = publish(connection, "other", 1, effective_from=day(-30))
    assign(connection, other, team_id=team, effective_from=day(-30))
    publish(connection, "limits", 1, effective_from=day(-30))
    draft = add_policy(connection, slug="limits", version=2)
    assign(connection, draft, team_id=team, effective_from=day(-1))
    third = publish(connection, "limits", 3)
    assert periods(connection, other) == [(team, day(-30), None)]
    assert periods(connection, draft) == [(team, day(-1), None)]
    assert periods(connection, third) == []


def test_ending_a_policy_ends_its_assignments(connection: Connection) -> None:
    team = add_team(connection)
    policy = publish(connection, "limits", 1, effective_from=day(-30))
    assign(connection, policy, team_id=team, effective_from=day(-30))
    connection.execute("update core.policies set is_active = false where id = %s", [policy])
    now = value(connection, "select now()")
    assert value(connection, "select effective_to from core.policies where id = %s", policy) == now
    assert periods(connection, policy) == [(team, day(-30), now)]


def test_a_version_that_ended_does_not_come_back(connection: Connection) -> None:
    first = publish(connection, "limits", 1)
    second = publish(connection, "limits", 2)
    with refused(connection, CheckViolation, 'policy "limits" version 1 has ended and cannot come back'):
        connection.execute("update core.policies set is_active = true where id = %s", [first])
    with refused(connection, CheckViolation, "version 3 has ended"):
        publish(connection, "limits", 3, effective_from=day(-9), effective_to=day(-8))
    assert value(connection, "select is_active from core.policies where id = %s", second)


def test_a_version_is_not_replaced_by_a_lower_one(connection: Connection) -> None:
    draft = add_policy(connection, slug="limits", version=1)
    publish(connection, "limits", 2)
    with refused(connection, CheckViolation, "version 1 cannot replace version 2; publish a higher version"):
        connection.execute("update core.policies set is_active = true where id = %s", [draft])


def test_an_insert_that_meets_an_existing_version_ends_nothing(connection: Connection) -> None:
    first = publish(connection, "limits", 1)
    add_policy(connection, slug="limits", version=2)
    connection.execute(
        "insert into core.policies (slug, version, name, policy_type, rules, is_active)"
        " values ('limits', 2, 'Limits', 'rate_limit', '{\"requests_per_day\": 1}', true) on conflict do nothing"
    )
    assert value(connection, "select is_active from core.policies where id = %s", first)


@pytest.mark.parametrize("target", ["team_id", "user_id"])
@pytest.mark.parametrize(
    ("first", "second", "is_taken"),
    [
        ({}, {"effective_from": day(9)}, False),
        ({"expires_at": day(5)}, {"effective_from": day(4)}, False),
        ({"expires_at": day(5)}, {"effective_from": day(5)}, True),
        ({"expires_at": day(0)}, {}, True),
    ],
)
def test_one_assignment_of_a_policy_to_a_target_at_a_time(
    connection: Connection, target: str, first: dict[str, Any], second: dict[str, Any], is_taken: bool
) -> None:
    add_target = add_team if target == "team_id" else add_user
    assignment = {"policy_id": add_policy(connection), target: add_target(connection), "effective_from": day(0)}
    add(connection, "policy_assignments", **assignment | first)
    add(connection, "policy_assignments", **assignment | {target: add_target(connection)})
    add(connection, "policy_assignments", **assignment | {"policy_id": add_policy(connection)})
    if is_taken:
        add(connection, "policy_assignments", **assignment | second)
    else:
        with refused(connection, ExclusionViolation, "policy_assignments_policy_id_team_id_user_id_excl"):
            add(connection, "policy_assignments", **assignment | second)


def test_an_assignment_has_exactly_one_target(connection: Connection) -> None:
    policy, team, user = add_policy(connection), add_team(connection), add_user(connection)
    for target in ({}, {"team_id": team, "user_id": user}):
        with refused(connection, CheckViolation, "policy_assignments_target_check"):
            assign(connection, policy, **target)
    assign(connection, policy, team_id=team)
    assign(connection, policy, user_id=user)


def test_a_policy_that_was_ever_assigned_stays(connection: Connection) -> None:
    policy, unused = add_policy(connection), add_policy(connection)
    assign(connection, policy, team_id=add_team(connection), effective_from=day(-9), expires_at=day(-8))
    with refused(connection, ForeignKeyViolation, "policy_assignments_policy_id_fkey"):
        connection.execute("delete from core.policies where id = %s", [policy])
    # a draft that nobody has seen
    connection.execute("delete from core.policies where id = %s", [unused])
