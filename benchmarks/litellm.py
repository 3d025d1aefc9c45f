"""The same questions to the reports and to LiteLLM's own tables, in one server, with the same requests.

    python -m benchmarks.litellm
    python -m benchmarks.litellm --url postgresql://… --rows 5000000
    python -m benchmarks.litellm --rows 50000                             (a first look, in under a minute)

Answers are compared before they are timed. LiteLLM's tables are those of the migrations of litellm-proxy-extras;
its queries are those of its proxy 1.110.2, with their parameters filled in. Makes a database bench_litellm and drops it
at the end.
"""

import hashlib
import math
import statistics
import uuid
from dataclasses import dataclass
from datetime import date, timedelta

import click

from benchmarks.answers import SIZE
from benchmarks.figures import UNKNOWN, Figure, at_least, server_name, server_options, show, told
from benchmarks.litellm_tables import PACKAGE, fill_tables, make_tables
from benchmarks.organisation import load_organisation
from benchmarks.timing import measured
from benchmarks.usage import Usage
from benchmarks.warehouse import build_options, built_warehouse, progress, settle
from orchestration.lib.database.connection import Connection, connect

# measures that both have, and what they are there
MEASURES = {
    "requests": "sum(api_requests)::bigint",
    "successful_requests": "sum(successful_requests)::bigint",
    "failed_requests": "sum(failed_requests)::bigint",
    "cache_read_tokens": "sum(cache_read_input_tokens)::bigint",
    "output_tokens": "sum(completion_tokens)::bigint",
    "total_tokens": "sum(prompt_tokens + completion_tokens)::bigint",
    "cost": "sum(spend)",
}
# of the view by team alone
SPEND = ("requests", "cost")


@dataclass(frozen=True)
class Pair:
    """One question in two ways; the columns of both answers are the same, in the same order."""

    what: str
    ours: str
    theirs: str
    goal: float | None


def rollup_pairs(usage: Usage) -> list[Pair]:
    """Each view over a small rollup against the daily table of LiteLLM's that answers the same."""
    spans = {
        "30 days": (usage.today - timedelta(days=30), usage.today - timedelta(days=1)),
        "7 days": (usage.today - timedelta(days=7), usage.today - timedelta(days=1)),
        "30 days and today": (usage.today - timedelta(days=30), usage.today),
        "today": (usage.today, usage.today),
    }
    user_spend, team_spend = "LiteLLM_DailyUserSpend", "LiteLLM_DailyTeamSpend"
    models, their_models = "provider, model", "custom_llm_provider, model"
    questions: list[tuple[str, str, str, str, str, float | None]] = [
        ("team", "spend_by_team_view", "team_id", team_spend, "team_id", 2),
        (
            "team and model",
            "spend_by_team_model_view",
            f"team_id, {models}",
            team_spend,
            f"team_id, {their_models}",
            2,
        ),
        ("user", "spend_by_user_view", "user_id", user_spend, "user_id", 2),
        ("provider and model", "spend_by_model_view", models, user_spend, their_models, 2),
        ("key", "spend_by_key_view", "api_key_id", user_spend, "api_key", 1),
        # the grain of their tables, which no view of ours has
        ("key and model", "cost_summary_view", f"api_key_id, {models}", user_spend, f"api_key, {their_models}", 1),
        (
            "provider and model, against DailyGlobalSpend",
            "spend_by_model_view",
            models,
            "LiteLLM_DailyGlobalSpend",
            their_models,
            None,
        ),
    ]
    pairs = []
    for what, view, key, table, their_key, goal in questions:
        names = SPEND if view == "spend_by_team_view" else tuple(MEASURES)
        theirs = ", ".join(MEASURES[name] for name in names)
        at_grain = view != "cost_summary_view"
        ours = ", ".join(name if at_grain else f"sum({name})" for name in names)
        for span, (first, last) in spans.items():
            ours_of_span = (
                f"select day, {key}, {ours} from reporting.{view}"
                f" where day >= date '{first:%F}' and day <= date '{last:%F}'"
            )
            theirs_of_span = (
                f'select date, {their_key}, {theirs} from "{table}"'
                f" where date >= '{first:%F}' and date <= '{last:%F}' group by date, {their_key}"
            )
            grouped = "" if at_grain else f" group by day, {key}"
            pairs.append(Pair(f"by {what}, {span}", ours_of_span + grouped, theirs_of_span, goal))
    return pairs


def raw_pairs(usage: Usage) -> list[Pair]:
    """Its queries of SpendLogs; the names are its endpoints and views."""
    first, last = usage.today - timedelta(days=30), usage.today
    their_span = (
        f"\"startTime\" >= ('{first}'::timestamptz AT TIME ZONE 'UTC')"
        f" AND \"startTime\" < (('{last}'::timestamptz + INTERVAL '1 day') AT TIME ZONE 'UTC')"
    )
    month = "\"startTime\" >= (CURRENT_DATE - INTERVAL '30 days')"
    span, logs = f"where day >= date '{first:%F}'", '"LiteLLM_SpendLogs"'
    joined = f'{logs} s LEFT JOIN "LiteLLM_TeamTable" t ON s.team_id = t.team_id'
    by_model, by_key = "reporting.spend_by_model_view", "reporting.spend_by_key_view"
    pairs = [
        (
            "/global/spend/teams",
            f"select team_name, day, cost from reporting.spend_by_team_view {span}",
            f'SELECT t.team_alias, DATE(s."startTime") AS spend_date, SUM(s.spend) FROM {joined} WHERE s.{month}'
            ' GROUP BY t.team_alias, DATE(s."startTime") ORDER BY spend_date',
        ),
        (
            "/global/activity",
            f"select day, sum(requests), sum(total_tokens) from {by_model} {span} group by day",
            "SELECT date_trunc('day', \"startTime\"), COUNT(*), SUM(total_tokens)"
            f" FROM {logs} WHERE {their_span} GROUP BY date_trunc('day', \"startTime\")",
        ),
        (
            "/global/activity/model",
            f"select model, day, requests, total_tokens from {by_model} {span}",
            "SELECT model_group, date_trunc('day', \"startTime\"), COUNT(*), SUM(total_tokens)"
            f" FROM {logs} WHERE {their_span} GROUP BY model_group, date_trunc('day', \"startTime\")",
        ),
        (
            "/spend/report, by key and model",
            "select api_key_id, model, sum(cost), sum(input_tokens + cache_read_tokens + cache_write_tokens),"
            f" sum(output_tokens) from reporting.cost_summary_view {span} group by api_key_id, model",
            "SELECT sl.api_key, sl.model, SUM(sl.spend), SUM(sl.prompt_tokens), SUM(sl.completion_tokens)"
            f" FROM {logs} sl WHERE sl.{their_span} GROUP BY sl.api_key, sl.model",
        ),
        (
            "spend of teams, daily report",
            f"select team_name, sum(cost) from reporting.spend_by_team_view {span} group by team_name",
            f"SELECT t.team_alias, SUM(s.spend) AS total_spend FROM {joined} WHERE s.{their_span}"
            " GROUP BY t.team_alias ORDER BY total_spend DESC",
        ),
        (
            "MonthlyGlobalSpend",
            f"select day, sum(cost) from {by_model} {span} group by day",
            f'SELECT DATE("startTime"), SUM("spend") FROM {logs} WHERE {month} GROUP BY DATE("startTime")',
        ),
        (
            "MonthlyGlobalSpendPerKey",
            f"select day, sum(cost), api_key_id from {by_key} {span} group by day, api_key_id",
            f'SELECT DATE("startTime"), SUM("spend"), api_key FROM {logs} WHERE {month}'
            ' GROUP BY DATE("startTime"), api_key',
        ),
        (
            "Last30dKeysBySpend",
            f"select api_key_id, sum(cost) from {by_key} {span} group by api_key_id order by 2 desc",
            'SELECT L."api_key", SUM(L."spend") AS total_spend'
            f' FROM {logs} L LEFT JOIN "LiteLLM_VerificationToken" V ON L."api_key" = V."token" WHERE L.{month}'
            ' GROUP BY L."api_key", V."key_alias", V."key_name" ORDER BY total_spend DESC',
        ),
        (
            "Last30dModelsBySpend",
            f"select model, sum(cost) from {by_model} {span} group by model order by 2 desc",
            f'SELECT "model", SUM("spend") AS total_spend FROM {logs} WHERE {month} AND "model" != \'\''
            ' GROUP BY "model" ORDER BY total_spend DESC',
        ),
    ]
    return [Pair(f"raw, {what}", ours, theirs, 7) for what, ours, theirs in pairs]


def answer(connection: Connection, question: str) -> dict[tuple[str, ...], list[float]]:
    """What an answer says, whatever its order and types: measures by day, names and ids."""
    rows = {}
    for row in connection.execute(question.encode()).fetchall():
        # a key's id is stored as its hash there, and a model or a team's name can't be a UUID
        names = [f"{each:%F}" if isinstance(each, date) else str(each) for each in row if not _is_number(each)]
        rows[tuple(names)] = [float(each) for each in row if _is_number(each)]
    return rows


def _is_number(value: object) -> bool:
    return not isinstance(value, str | date | uuid.UUID)


def assert_same(connection: Connection, pairs: list[Pair]) -> None:
    """Both answers have the same groups, and the same measures but for what floating point loses."""
    keys = connection.execute("select distinct api_key_id from core.llm_metrics").fetchall()
    hashed = {str(key): hashlib.sha256(str(key).encode()).hexdigest() for (key,) in keys}
    for pair in pairs:
        ours = {
            tuple(hashed.get(name, name) for name in group): measures
            for group, measures in answer(connection, pair.ours).items()
        }
        theirs = answer(connection, pair.theirs)
        assert ours, f"{pair.what}: no rows"
        assert ours.keys() == theirs.keys(), f"{pair.what}: {len(ours)} and {len(theirs)} groups"
        for group, measures in ours.items():
            same = [math.isclose(*each, rel_tol=1e-9) for each in zip(measures, theirs[group], strict=True)]
            assert all(same), f"{pair.what}: {group}, {measures} and {theirs[group]}"


def ratio_figures(connection: Connection, pairs: list[Pair], rounds: int) -> tuple[list[Figure], list[float]]:
    """How many times as fast the report is: by the clock, and by the CPU time of the backend."""
    figures, ratios = [], []
    for pair in pairs:
        progress(pair.what)
        times = measured(connection, {"ours": pair.ours, "theirs": pair.theirs}, rounds)
        ours, theirs = times["ours"], times["theirs"]
        ratio = theirs.best / ours.best
        ratios.append(ratio)
        cpu = UNKNOWN if ours.cpu is None or theirs.cpu is None else f"{theirs.cpu / ours.cpu:,.2f} x"
        shown = f"{ratio:,.2f} x ({ours.best:,.2f} / {theirs.best:,.1f} ms)"
        goal, met = ("", None) if pair.goal is None else (f"≥ {pair.goal:g} x", ratio >= pair.goal)
        figures.append(Figure(f"{pair.what}, {ours.rows:,} rows", shown, cpu, goal, met))
    return figures, ratios


@click.command()
@server_options
@click.option("--rows", default=1_000_000, show_default=True, help="Usage of 30 days.")
@click.option("--rounds", default=7, show_default=True, help="The best of so many counts; of raw rows, three.")
def main(url: str | None, rows: int, rounds: int, as_json: bool) -> None:
    """Measures the reports against LiteLLM's tables; exit code 1 if a goal is missed."""
    usage = Usage(rows, governed=True)
    options = build_options(rows / usage.days)
    with built_warehouse(url, "litellm", options) as built, connect(built) as connection:
        load_organisation(connection, SIZE, progress)
        usage.load(connection, notify=progress)
        release = make_tables(connection)
        fill_tables(connection, usage, progress)
        progress("rollups, columnstore and statistics")
        settle(connection, built, options)
        connection.execute("set search_path = litellm, public")
        rollups, raw = rollup_pairs(usage), raw_pairs(usage)
        progress("comparing answers")
        assert_same(connection, [*rollups, *raw])
        figures, _ = ratio_figures(connection, rollups, rounds)
        raw_figures, ratios = ratio_figures(connection, raw, min(rounds, 3))
        figures += [*raw_figures, at_least("raw, median of the above", statistics.median(ratios), 20, "x")]
        [(sizes,)] = connection.execute(
            "select pg_total_relation_size('\"LiteLLM_SpendLogs\"') / count(*) from core.llm_metrics"
        )
        figures.append(told("bytes a row of SpendLogs, with indexes", sizes, "B", 0))
        server = server_name(connection)
    show(figures, server, f"{rows:,} requests", f"{PACKAGE} {release}", as_json=as_json)


if __name__ == "__main__":
    main()
