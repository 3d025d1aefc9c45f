"""Usage under many names: reports by model count it once under one, whatever the rules are and whoever wrote it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner, Result
from core_rows import add_team, add_user, value
from reporting_rows import add_request, noon, report

from orchestration.cli.main import main
from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.usage.merge import IngestReport
from orchestration.lib.usage.names import Alias, add_alias, drop_alias
from orchestration.lib.warehouse.refresh import refresh

HEADER = "time,request_id,provider,model,cost_amount"


@pytest.fixture
def warehouse(database: str) -> Iterator[Connection]:
    """An autocommit connection to a warehouse without usage, rules of its own or names."""

    with connect(database) as connection:
        yield connection
        for table in ("core.llm_metrics", "core.name_aliases", "internal.model_names"):
            connection.execute(f"delete from {table}".encode())
        refresh(database)


def names(connection: Connection) -> dict[tuple[str, str], tuple[str, str, str]]:
    rows = connection.execute(
        "select provider, model, canonical_provider, canonical_model, origin from internal.model_names"
    ).fetchall()
    return {(row[0], row[1]): (row[2], row[3], row[4]) for row in rows}


def by_model(connection: Connection) -> dict[tuple[str, str, str], tuple[int, int, Decimal | None, int]]:
    return {
        (row["provider"], row["model"], row["currency"]): (
            row["requests"],
            row["failed_requests"],
            row["cost"],
            row["unpriced_requests"],
        )
        for row in report(connection, "spend_by_model_view")
    }


def test_spellings_of_a_model_are_one_row_with_the_exact_sum(warehouse: Connection, database: str) -> None:
    """0.1 + 0.2 + 0.000000000000000001, two of five requests failed, one of them has no price."""
    team, tiny = add_team(warehouse, name="Search"), Decimal("0.000000000000000001")
    for provider, model, values in (
        ("azure", "gpt-4o", {"cost_amount": Decimal("0.1"), "input_tokens": 10}),
        ("azure_openai", "gpt-4o-2024-08-06", {"cost_amount": Decimal("0.2"), "input_tokens": 20, "status": "error"}),
        ("azure", "azure/gpt-4o", {"cost_amount": tiny, "input_tokens": 30}),
        ("Azure.OpenAI", "gpt-4o", {"status": "blocked", "input_tokens": 40}),
        ("azure", "gpt-4o", {"cost_amount": Decimal(7), "currency": "EUR"}),
        ("openai", "gpt-4o", {"cost_amount": Decimal(5)}),
        ("azure", "prod-chat", {"cost_amount": Decimal(3)}),
    ):
        add_request(warehouse, noon(2), provider=provider, model=model, team_id=team, **values)
    refresh(database)
    expected = {
        ("azure", "gpt-4o", "USD"): (4, 2, Decimal("0.300000000000000001"), 1),
        ("azure", "gpt-4o", "EUR"): (1, 0, Decimal(7), 0),
        ("openai", "gpt-4o", "USD"): (1, 0, Decimal(5), 0),
        ("azure", "prod-chat", "USD"): (1, 0, Decimal(3), 0),
    }
    assert by_model(warehouse) == expected
    of_team = report(warehouse, "spend_by_team_model_view", team_id=team)
    assert {(r["team_name"], r["provider"], r["model"], r["currency"]): r["cost"] for r in of_team} == {
        ("Search", *key): cost for key, (_, _, cost, _) in expected.items()
    }
    assert {r["input_tokens"] for r in of_team if r["provider"] == "azure" and r["currency"] == "USD"} == {100, 0}
    # where rows tell more apart, what the source said stays, with the one name beside it
    rows = report(warehouse, "cost_summary_view", team_id=team, canonical_provider="azure", canonical_model="gpt-4o")
    assert {(r["provider"], r["model"]) for r in rows} == {
        ("azure", "gpt-4o"),
        ("azure_openai", "gpt-4o-2024-08-06"),
        ("azure", "azure/gpt-4o"),
        ("Azure.OpenAI", "gpt-4o"),
    }
    assert sum(r["cost"] for r in rows if r["currency"] == "USD" and r["cost"]) == Decimal("0.300000000000000001")


def test_totals_are_the_same_with_any_rules(warehouse: Connection, database: str) -> None:
    """Every measure of each day and currency, before rules and after, in the reports and in raw rows."""
    measures = ["requests", "failed_requests", "input_tokens", "total_tokens", "cost", "unpriced_requests"]
    for number, model in enumerate(("gpt-4o", "gpt-4o-2024-08-06", "a", "b", "c", "ft:gpt-4o:org::1")):
        for days_ago in (0, 1, 5):
            add_request(
                warehouse,
                datetime.now(UTC) if days_ago == 0 else noon(days_ago),
                provider=("openai", "azure_openai")[number % 2],
                model=model,
                input_tokens=number + 1,
                status=("success", "error")[number % 2],
                cost_amount=None if model == "c" else Decimal("0.1") ** (number + 1),
            )
    refresh(database)

    def totals(view: str) -> set[tuple[Any, ...]]:
        sums = ", ".join(f"sum({measure})" for measure in measures)
        return set(warehouse.execute(f"select day, currency, {sums} from reporting.{view} group by 1, 2").fetchall())

    before = totals("cost_summary_view")
    assert len(before) == 3
    views = ("spend_by_model_view", "spend_by_team_model_view", "cost_summary_view")
    assert [totals(view) for view in views] == [before] * 3
    rows = len(report(warehouse, "spend_by_model_view"))
    add_alias(database, Alias("model", "*", "pattern", "[abc]", "one"))
    add_alias(database, Alias("provider", "*", "exact", "azure_openai", "openai"))
    assert [totals(view) for view in views] == [before] * 3
    assert len(report(warehouse, "spend_by_model_view")) == rows - 3 * 3
    assert value(warehouse, "select count(distinct model) from core.llm_metrics") == 6


def test_a_load_names_what_it_brings(
    warehouse: Connection, load_csv: Callable[..., IngestReport], emptied: None
) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0).isoformat()
    load_csv([HEADER, f"{hour},r1,azure_openai,gpt-4o-2024-08-06,0.1", f"{hour},r2,acme,ours,0.2"])
    assert names(warehouse) == {
        ("azure_openai", "gpt-4o-2024-08-06"): ("azure", "gpt-4o", "gpt-4o"),
        ("acme", "ours"): ("acme", "ours", "as said"),
    }
    # a name that is known is kept, with the time it was given
    given = value(warehouse, "select max(named_at) from internal.model_names")
    load_csv([HEADER, f"{hour},r3,acme,ours,0.2", f"{hour},r4,acme,other,0.2", ",r5,acme,refused,0.2"], "again.csv")
    assert set(names(warehouse)) == {("azure_openai", "gpt-4o-2024-08-06"), ("acme", "ours"), ("acme", "other")}
    assert value(warehouse, "select count(*) from internal.model_names where named_at <= %s", given) == 2


def test_a_dry_run_names_nothing(warehouse: Connection, load_csv: Callable[..., IngestReport], emptied: None) -> None:
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0).isoformat()
    load_csv([HEADER, f"{hour},r1,azure_openai,gpt-4o-2024-08-06,0.1"], trials=[])
    assert names(warehouse) == {}


def test_what_applications_insert_is_named_by_the_next_refresh(warehouse: Connection, database: str) -> None:
    add_request(warehouse, datetime.now(UTC), provider="azure_openai", model="gpt-4o")
    # until then the report shows it as it came
    assert [(r["provider"], r["model"]) for r in report(warehouse, "spend_by_model_view")] == [
        ("azure_openai", "gpt-4o")
    ]
    refresh(database)
    assert [(r["provider"], r["model"]) for r in report(warehouse, "spend_by_model_view")] == [("azure", "gpt-4o")]
    warehouse.execute("delete from internal.model_names")
    warehouse.execute("call internal.refresh_rollups()")
    assert len(names(warehouse)) == 1


def test_changed_rules_change_the_names_of_what_is_there(warehouse: Connection, database: str) -> None:
    add_request(warehouse, noon(3), provider="azure", model="prod-chat", cost_amount=Decimal(1))
    add_request(warehouse, noon(3), provider="azure", model="gpt-4o", cost_amount=Decimal(2))
    refresh(database)
    [renamed] = add_alias(database, Alias("model", "azure_openai", "exact", "prod-chat", "gpt-4o"))
    assert (renamed.before, renamed.after) == (("azure", "prod-chat"), ("azure", "gpt-4o"))
    assert by_model(warehouse) == {("azure", "gpt-4o", "USD"): (2, 0, Decimal(3), 0)}
    # a rule in place of the other, and one that changes nothing
    add_alias(database, Alias("model", "azure", "exact", "prod-chat", "gpt-4o-mini"))
    assert set(by_model(warehouse)) == {("azure", "gpt-4o", "USD"), ("azure", "gpt-4o-mini", "USD")}
    assert add_alias(database, Alias("model", "openai", "exact", "prod-chat", "gpt-4o")) == []
    [renamed] = drop_alias(database, "model", "prod-chat", "azure")
    assert renamed.after == ("azure", "prod-chat")
    # by SQL: with the next refresh
    warehouse.execute("insert into core.name_aliases (kind, said, canonical) values ('model', 'prod-chat', 'gpt-4o')")
    refresh(database)
    assert names(warehouse)["azure", "prod-chat"] == ("azure", "gpt-4o", "your own prod-chat, then gpt-4o")
    warehouse.execute("update seeds.provider_aliases set provider = 'azure-2' where provider = 'azure'")
    refresh(database)
    assert names(warehouse)["azure", "prod-chat"][0] == "azure-2"
    warehouse.execute("update seeds.provider_aliases set provider = 'azure' where provider = 'azure-2'")
    refresh(database)


def test_distinct_models_of_a_user_are_models_not_spellings(warehouse: Connection, database: str) -> None:
    user = add_user(warehouse)
    for model in ("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-mini"):
        add_request(warehouse, noon(1), user_id=user, model=model)
    refresh(database)
    [row] = report(warehouse, "user_activity_summary_view", user_id=user)
    assert row["distinct_models_30d"] == 2


# the command


def run(url: str, *arguments: str) -> Result:
    result = CliRunner(env={"GOVERNANCE_DATABASE_URL": url}).invoke(main, ["models", *arguments])
    # anything else would have been a traceback
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.engines("postgres")
def test_the_command_lists_names_spellings_traffic_and_why(warehouse: Connection, database: str) -> None:
    add_request(warehouse, noon(9), provider="azure", model="gpt-4o", cost_amount=Decimal("1234.5"))
    add_request(warehouse, noon(2), provider="azure_openai", model="gpt-4o-2024-08-06", cost_amount=Decimal("0.00012"))
    add_request(warehouse, noon(1), provider="azure_openai", model="gpt-4o-2024-08-06")
    add_request(warehouse, noon(1), provider="azure_openai", model="gpt-4o-2024-08-06", currency="EUR")
    add_request(warehouse, noon(1), provider="acme", model="ft:ours\x1b[2J", cost_amount=Decimal(1))
    refresh(database)
    shown = run(database)
    assert shown.exit_code == 0
    assert [" ".join(line.split()) for line in shown.stdout.splitlines()] == [
        "provider model came as requests cost first last named by",
        rf"acme ft:ours\x1b[2J 1 1.00 USD {noon(1):%F} {noon(1):%F} as said; the provider as said",
        f"azure gpt-4o 1 1,234.50 USD {noon(9):%F} {noon(9):%F} gpt-4o",
        f"azure_openai/gpt-4o-2024-08-06 3 unknown EUR, 0.00012 USD {noon(2):%F} {noon(1):%F}"
        " gpt-4o; the provider by azure_openai",
    ]
    [row] = json.loads(run(database, "--unknown", "--json").stdout)
    assert row == {
        "provider": "acme",
        "model": "ft:ours\x1b[2J",
        "base_model": None,
        "said_provider": "acme",
        "said_model": "ft:ours\x1b[2J",
        "known": False,
        "provider_origin": "as said",
        "origin": "as said",
        "requests": 1,
        "cost": {"USD": "1"},
        "first_day": f"{noon(1):%F}",
        "last_day": f"{noon(1):%F}",
    }


@pytest.mark.engines("postgres")
def test_the_command_adds_a_rule_and_takes_it_back(warehouse: Connection, database: str) -> None:
    assert "there is no usage so far" in run(database).stderr
    add_request(warehouse, noon(1), provider="azure_openai", model="prod-chat")
    refresh(database)
    said = run(database, "alias", "--provider", "azure_openai", "prod-chat", "gpt-4o", "--note", "since May")
    assert said.stdout == "azure/prod-chat is called azure/gpt-4o now (it came as azure_openai/prod-chat)\n"
    assert "rules know every model that usage names" in run(database, "--unknown").stderr
    assert " ".join(run(database, "rules").stdout.split()) == (
        "of provider match said called priority note model azure exact prod-chat gpt-4o 100 since May"
    )
    refused = run(database, "unalias", "prod-chat")
    assert refused.exit_code == 1
    assert "those for one provider need --provider" in refused.stderr
    said = run(database, "unalias", "prod-chat", "--provider", "azure")
    assert said.stdout == "azure/gpt-4o is called azure/prod-chat now (it came as azure_openai/prod-chat)\n"
    said = run(database, "alias-provider", "azure_openai", "our-azure")
    assert said.stdout == "azure/prod-chat is called our-azure/prod-chat now (it came as azure_openai/prod-chat)\n"
    said = run(database, "unalias", "azure_openai", "--of-provider")
    assert said.stdout == "our-azure/prod-chat is called azure/prod-chat now (it came as azure_openai/prod-chat)\n"
    assert "there are no rules of your own" in run(database, "rules").stderr


@pytest.mark.engines("postgres")
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["alias", "--match", "pattern", "gpt-(", "x"], "gpt-( is no pattern"),
        (["alias", " ", "x"], "name_aliases.said is blank"),
        (["alias", "b", "a"], "another rule calls a b, so neither would be a name"),
        (["alias-provider", "there", "here"], "another rule calls here there, so neither would be a name"),
    ],
)
def test_the_command_refuses_what_is_no_rule(
    warehouse: Connection, database: str, arguments: list[str], says: str
) -> None:
    add_alias(database, Alias("model", "*", "exact", "a", "b"))
    add_alias(database, Alias("provider", "*", "exact", "here", "there"))
    result = run(database, *arguments)
    assert result.exit_code == 1
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert value(warehouse, "select count(*) from core.name_aliases") == 2
