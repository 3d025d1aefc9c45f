"""The demo's generator: what follows from a seed, in which shape, and that it is possible at all."""

import hashlib
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from operator import mul
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from orchestration.demo.activity import events_of_day, samples_of_day, sessions_of_day
from orchestration.demo.alerts import BudgetWatch, alerts_of_day, answer_to, budgets
from orchestration.demo.entities import Organisation
from orchestration.demo.facts import MODELS, UNPRICED_MODEL
from orchestration.demo.organisation import build_organisation
from orchestration.demo.usage import Request, requests_of_day, weather_of_day
from orchestration.lib.usage.record import TOKEN_CLASSES

START, DAYS = date(2026, 3, 2), 90  # a Monday; Berlin's clocks go forward on the 29th
UTC = ZoneInfo("UTC")
BERLIN = ZoneInfo("Europe/Berlin")


@cache
def organisation(seed: int = 1, people: int = 80, days: int = DAYS, zone: str = "UTC") -> Organisation:
    return build_organisation(seed, people, days, START, ZoneInfo(zone))


@cache
def usage() -> list[Request]:
    days = [START + timedelta(days=offset) for offset in range(DAYS)]
    return [request for day in days for request in requests_of_day(organisation(), day)]


def fingerprint(seed: int) -> str:
    small = build_organisation(seed, 30, 20, START, BERLIN)
    days = [START + timedelta(days=offset) for offset in range(0, 30, 3)]
    watch = BudgetWatch(small, budgets(small))
    parts: list[object] = [small]
    for day in days:
        requests = requests_of_day(small, day)
        parts += [requests, alerts_of_day(small, day, requests, watch), sessions_of_day(small, day)]
        parts += [events_of_day(small, day), list(samples_of_day(small, day)), weather_of_day(small, day)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    code = "from test_demo_generator import fingerprint; print(fingerprint(3))"
    folder = str(Path(__file__).parent)
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join([folder, *sys.path])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert seen == {fingerprint(3)}


def test_another_seed_gives_something_else() -> None:
    assert fingerprint(3) != fingerprint(4)
    assert not {person.id for person in organisation(1).people} & {person.id for person in organisation(2).people}


def test_days_stand_alone() -> None:
    by_day: dict[date, list[Request]] = defaultdict(list)
    for request in usage():
        by_day[request.time.date()].append(request)
    again = build_organisation(1, 80, DAYS, START, UTC)
    assert again == organisation()
    for day in sorted(by_day, reverse=True)[::9]:
        assert requests_of_day(again, day) == by_day[day]
    assert sorted(by_day) == [START + timedelta(days=offset) for offset in range(DAYS)]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"])
@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 1), date(2026, 10, 25)])
def test_what_happens_on_a_local_day_begins_on_it(zone: str, day: date) -> None:
    there = organisation(people=40, zone=zone)
    start, end = there.start_of(day), there.start_of(day + timedelta(days=1))
    requests = requests_of_day(there, day)
    times = [request.time for request in requests]
    times += [session.created_at for session in sessions_of_day(there, day)]
    times += [alert.created_at for alert in alerts_of_day(there, day, requests, BudgetWatch(there, budgets(there)))]
    times += [sample.time for sample in samples_of_day(there, day)]
    times += [event.occurred_at for event in events_of_day(there, day)]
    assert times
    assert all(start <= time < end for time in times)


def test_request_ids_are_unique_and_rows_are_in_order() -> None:
    assert len({request.request_id for request in usage()}) == len(usage())
    assert all(before.time <= after.time for before, after in pairwise(usage()))


def test_size_of_the_default() -> None:
    """Seven days, each weekday once, stand for all ninety."""
    default = organisation(people=200)
    days = [START + timedelta(days=offset) for offset in range(0, DAYS, 13)]
    assert {day.weekday() for day in days} == set(range(7))
    assert 120_000 <= 90 / 7 * sum(len(requests_of_day(default, day)) for day in days) <= 180_000


def test_people_work_on_weekdays_and_by_day() -> None:
    human = [request.time for request in usage() if request.user_id is not None]
    by_weekday = Counter(time.weekday() for time in human)
    weekday = sum(by_weekday[day] for day in range(5)) / 5
    weekend = (by_weekday[5] + by_weekday[6]) / 2
    assert 4 < weekday / weekend < 15
    berliners = {person.id for person in organisation().people if person.site == "berlin"}
    hours = Counter(request.time.hour for request in usage() if request.user_id in berliners)
    assert sum(hours[hour] for hour in range(7, 17)) > 0.8 * sum(hours.values())
    services = Counter(request.time.weekday() for request in usage() if request.user_id is None)
    assert (services[5] + services[6]) / 2 > 0.4 * sum(services[day] for day in range(5)) / 5


def test_a_few_people_send_most_and_each_has_one_to_three_models() -> None:
    requests = Counter(request.user_id for request in usage() if request.user_id is not None)
    ranked = sorted(requests.values(), reverse=True)
    assert sum(ranked[: len(ranked) // 10]) > 0.35 * sum(ranked)
    models: dict[UUID, set[str]] = defaultdict(set)
    for request in usage():
        if request.user_id is not None:
            models[request.user_id].add(request.model)
    assert {len(used) for used in models.values()} == {1, 2, 3}


def test_token_classes_are_disjoint_counts() -> None:
    classes = {name: [getattr(request, name) for request in usage()] for name in TOKEN_CLASSES}
    for name, counts in classes.items():
        assert min(counts) >= 0, name
        assert max(counts) > 0, name
    for request in usage():
        if request.operation == "embedding":
            assert request.output_tokens == request.reasoning_tokens == request.cache_read_tokens == 0
        if not MODELS[request.requested_model].caches:
            assert request.cache_read_tokens == request.cache_write_tokens == 0
        if request.operation != "audio":
            assert request.audio_input_tokens == request.audio_output_tokens == 0
        if request.status in ("blocked", "rate_limited"):
            assert sum(getattr(request, name) for name in TOKEN_CLASSES) == 0


def test_costs_are_exact_sums_of_tokens_times_price() -> None:
    total: dict[str, Decimal] = defaultdict(Decimal)
    tokens: dict[str, Counter[str]] = defaultdict(Counter)
    unpriced = 0
    for request in usage():
        model = MODELS[request.requested_model]
        assert (request.provider, request.model, request.currency) == (model.provider, model.name, model.currency)
        if model.prices is None:
            unpriced += 1
            assert request.cost_amount is None
            assert request.cost_source == "unpriced"
            continue
        counts = [getattr(request, name) for name in TOKEN_CLASSES]
        assert isinstance(request.cost_amount, Decimal)
        assert request.cost_source == ("computed" if request.source == "demo" else "estimated")
        assert request.cost_amount * 1_000_000 == sum(map(mul, counts, model.prices))
        total[request.currency] += request.cost_amount
        tokens[model.alias].update(dict(zip(TOKEN_CLASSES, counts, strict=True)))
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for alias, summed in tokens.items():
        prices = MODELS[alias].prices
        assert prices is not None
        expected[MODELS[alias].currency] += sum(
            summed[name] * price for name, price in zip(TOKEN_CLASSES, prices, strict=True)
        )
    assert {currency: cost * 1_000_000 for currency, cost in total.items()} == expected
    assert set(total) == {"USD", "EUR"}
    assert unpriced > 0


def test_every_status_occurs_and_retries_share_a_trace() -> None:
    statuses = Counter(request.status for request in usage())
    assert set(statuses) == {"success", "error", "rate_limited", "blocked"}
    assert 0.93 < statuses["success"] / len(usage()) < 0.99
    assert all((request.error_code is None) == (request.status == "success") for request in usage())
    retries = [request for request in usage() if request.metadata]
    assert len(retries) > 200
    first_tries = {request.trace_id: request for request in usage() if not request.metadata}
    for retry in retries:
        assert retry.metadata is not None
        assert retry.metadata["attempt"] in (2, 3)
        first = first_tries[retry.trace_id]
        assert first.time < retry.time
        assert first.status in ("error", "rate_limited")


def test_policies_decide_where_they_apply_on_that_day() -> None:
    demo = organisation()
    policies = {policy.id: policy for policy in demo.policies}
    teams = {team.id: team for team in demo.teams}
    decided: dict[str, Counter[str]] = defaultdict(Counter)
    for request in usage():
        assert (request.policy_id is None) == (request.policy_decision is None)
        if request.status == "blocked":
            assert request.policy_decision == "block"
        if request.policy_id is None or request.policy_decision is None:
            continue
        policy = policies[request.policy_id]
        decided[policy.policy_type][request.policy_decision] += 1
        assert policy in demo.policies_on(request.time.date(), teams[request.team_id], request.user_id)
        if policy.enforcement != "block":
            assert request.policy_decision != "block"
    assert set(decided) == {
        "cost_limit",
        "rate_limit",
        "content_filter",
        "security",
        "model_allowlist",
        "data_residency",
    }
    assert all(counts["allow"] and counts["flag"] + counts["block"] for counts in decided.values())


def test_spend_belongs_to_the_team_of_the_day() -> None:
    demo = organisation()
    movers = {person.id: person for person in demo.people if len(person.stays) == 2}
    teams_of: dict[UUID, set[UUID]] = defaultdict(set)
    for request in usage():
        if request.user_id in movers:
            stay = next(
                stay
                for stay in movers[request.user_id].stays
                if stay.since <= request.time.date() and (stay.until is None or request.time.date() < stay.until)
            )
            assert request.team_id == stay.team.id
            teams_of[request.user_id].add(request.team_id)
    assert sum(len(teams) == 2 for teams in teams_of.values()) >= 2


def test_people_and_teams_that_are_gone_have_spent() -> None:
    demo = organisation()
    spenders = {request.user_id for request in usage()}
    gone = [person for person in demo.people if person.status == "deactivated"]
    assert len(gone) >= 2
    assert {person.id for person in gone} <= spenders
    (dissolved,) = [team for team in demo.teams if team.deleted_at is not None]
    assert dissolved.deleted_at is not None
    last = max(request.time for request in usage() if request.team_id == dissolved.id)
    assert last < dissolved.deleted_at
    names = Counter(team.name for team in demo.teams)
    assert names["Analytics"] == 2


def test_the_unpriced_model_comes_later() -> None:
    first = min(request.time for request in usage() if request.requested_model == UNPRICED_MODEL)
    assert first.date() >= organisation().preview_from > START


def test_some_requests_carry_several_tags_and_some_none() -> None:
    counts = Counter(len(request.tags or ()) for request in usage())
    assert {0, 1, 2, 3} <= set(counts)
    assert 0.1 < counts[0] / len(usage()) < 0.6


@pytest.mark.parametrize("people", [5, 6, 26, 120])
@pytest.mark.parametrize("days", [1, 2, 30])
def test_any_size_is_an_organisation_that_can_be(people: int, days: int) -> None:
    demo = organisation(7, people, days)
    last_midnight = demo.start_of(START + timedelta(days=days - 1))
    assert len(demo.people) == people
    assert len({person.email for person in demo.people}) == people
    assert any(person.status == "active" for person in demo.people)
    seen = set()
    for team in demo.teams:
        assert team.parent is None or team.parent.id in seen
        assert len(team.line) <= 3
        assert team.deleted_at is None or team.deleted_at <= last_midnight
        seen.add(team.id)
    # nothing that has happened lies after the first moment of the last day
    for person in demo.people:
        assert person.created_at <= last_midnight
        for before, after in pairwise(person.stays):
            assert before.until == after.since
            assert before.team.id != after.team.id
        for stay in person.stays:
            assert stay.until is None or stay.since <= stay.until <= START + timedelta(days=days - 1)
    for key in demo.keys:
        assert key.created_at <= last_midnight
        assert key.expires_at is None or key.created_at < key.expires_at
        assert key.revoked_at is None or key.created_at <= key.revoked_at <= last_midnight
    assert len({(grant.user_id, grant.role, grant.team_id) for grant in demo.grants}) == len(demo.grants)
    for grant in demo.grants:
        assert grant.granted_at <= last_midnight
        assert grant.expires_at is None or grant.granted_at < grant.expires_at
        assert grant.revoked_at is None or grant.granted_at <= grant.revoked_at <= last_midnight
    versions: dict[str, list[int]] = defaultdict(list)
    for policy in demo.policies:
        versions[policy.slug].append(policy.version)
        assert policy.is_active == (policy.published_at is not None and policy.effective_to is None)
        assert policy.effective_to is None or policy.effective_from <= policy.effective_to <= last_midnight
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in versions.values())
    assert all(request.time >= demo.start_of(START) for request in requests_of_day(demo, START))


@pytest.mark.parametrize(("people", "days"), [(4, 90), (200, 0)])
def test_less_is_refused(people: int, days: int) -> None:
    with pytest.raises(ValueError, match="at least 5 people and 1 day"):
        build_organisation(1, people, days, START, UTC)


def test_budget_alerts_come_when_a_limit_is_passed() -> None:
    demo = organisation(people=30)
    team = next(team for team in demo.teams if team.slug == "evaluation")
    parent = next(team for team in demo.teams if team.slug == "applied-ai")
    watch = BudgetWatch(demo, {team.id: Decimal(10), parent.id: Decimal(20)})
    day, next_day = date(2026, 3, 31), date(2026, 4, 1)
    assert list(watch.add(day, team.id, "USD", Decimal("9.99"))) == []
    assert list(watch.add(day, team.id, "EUR", Decimal(100))) == []
    assert list(watch.add(day, team.id, "USD", Decimal("0.01"))) == [(team, 100)]
    assert list(watch.add(day, team.id, "USD", Decimal(5))) == []
    assert list(watch.add(day, parent.id, "USD", Decimal(5))) == [(parent, 80), (parent, 100)]
    # a new day and a new month
    assert list(watch.add(next_day, team.id, "USD", Decimal(16))) == [(team, 100), (parent, 80)]


def test_an_alert_is_answered_in_time() -> None:
    demo = organisation(people=30)
    created = datetime(2026, 3, 10, 12, tzinfo=UTC)
    states = Counter[str]()
    for number in range(300):
        alert_id, severity = UUID(int=number), ("critical", "medium", "low")[number % 3]
        history = [
            answer_to(demo, alert_id, severity, created, created + timedelta(hours=hours)) for hours in (0, 1, 24, 2000)
        ]
        assert history[0].status == "open"
        order = ["open", "acknowledged", "resolved"]
        stages = [order.index(answer.status) for answer in history if answer.status != "suppressed"]
        assert stages == sorted(stages)
        for answer in history:
            times = [created, answer.acknowledged_at or created, answer.resolved_at or datetime.max.replace(tzinfo=UTC)]
            assert times == sorted(times)
        states[history[-1].status] += 1
    assert states["resolved"] > 200
    assert states["open"] > 0
    assert states["suppressed"] > 0
