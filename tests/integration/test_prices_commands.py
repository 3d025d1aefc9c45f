"""`governance prices`: an import shows what it changes before it writes, and which price applies is said with why."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from core_rows import value

from orchestration.cli.main import main
from orchestration.lib.database.connection import connect

pytestmark = pytest.mark.engines("postgres")
HEADER = (
    "provider,model,currency,valid_from,valid_to,date_basis,input_tokens,cache_read_tokens,output_tokens,price_list\n"
)
Run = Callable[..., Result]


@pytest.fixture
def run(database: str) -> Run:
    def run_prices(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["prices", *arguments], env={"GOVERNANCE_DATABASE_URL": database})

    return run_prices


def price_file(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "prices.csv"
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return str(path)


def test_a_build_has_the_list_that_ships_and_importing_it_changes_nothing(database: str, run: Run) -> None:
    with connect(database) as connection:
        listed = "select count(distinct provider) from core.model_prices where starts_with(origin, 'genai-prices')"
        assert value(connection, listed) > 40
    result = run("import", "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("0 new, 0 end, 0 superseded,")


def test_every_listed_price_is_found_by_what_sources_call_the_model(database: str, run: Run) -> None:
    """The list says aws and x-ai, requests bedrock and xai."""
    with connect(database) as connection:
        lost = connection.execute(
            """
            with listed as (select distinct provider, model from core.model_prices where superseded_at is null)
            select r.provider, r.model
            from internal.resolve_names(
                (select array_agg(provider order by provider, model) from listed),
                (select array_agg(model order by provider, model) from listed)
            ) as r
            where (r.provider, r.model) <> (lower(r.canonical_provider), r.canonical_model) and strpos(r.model, '*') = 0
            """
        ).fetchall()
    assert lost == []
    for provider, model in (
        ("bedrock", "us.amazon.nova-pro-v1:0"),
        ("aws", "amazon.nova-pro-v1:0"),
        ("xai", "grok-4.5"),
    ):
        assert run("show", model, "--provider", provider).exit_code == 0, (provider, model)


def test_a_list_may_call_a_model_what_sources_call_it(run: Run, tmp_path: Path) -> None:
    said = price_file(
        tmp_path, "aws,our.model-1,USD,2026-01-01,,known,3,,,", "azure_openai,gpt-9*,USD,2026-01-01,,known,3,,,"
    )
    shown = run("import", said, "--dry-run")
    assert "+ input_tokens of bedrock/our.model-1: 3 USD from 2026-01-01 (known)" in shown.output
    assert "+ input_tokens of azure/gpt-9*: 3 USD from 2026-01-01 (known)" in shown.output
    twice = price_file(
        tmp_path, "azure,gpt-4o,USD,2026-01-01,,known,3,,,", "azure,gpt-4o-2024-08-06,USD,2026-01-01,,known,4,,,"
    )
    refused = run("import", twice, "--dry-run")
    assert "line 2 and line 3: both have a price for input_tokens of azure/gpt-4o on 2026-01-01" in refused.output


def test_prices_in_a_currency_that_does_not_count_are_told(run: Run, tmp_path: Path) -> None:
    """The list that ships has it in dollars, so a contract in euros would do nothing without a word."""
    told = "openai/gpt-4o has prices in USD too, the default currency: those count. For prices in EUR give them"
    line = "openai,gpt-4o,EUR,2026-01-01,,known,2,,,"
    assert told in run("import", price_file(tmp_path, line), "--dry-run").output
    for own in (line.replace("EUR", "USD"), line.replace("gpt-4o", "only-in-euros")):
        assert "the default currency" not in run("import", price_file(tmp_path, own), "--dry-run").output


def test_an_import_shows_first_and_writes_only_what_was_agreed_to(database: str, run: Run, tmp_path: Path) -> None:
    first = price_file(tmp_path, "Acme,import-1,EUR,2026-01-01,,decided,3,0.3,15,")
    shown = run("import", first)
    assert shown.exit_code == 1
    assert "+ input_tokens of acme/import-1: 3 EUR from 2026-01-01 (decided)" in shown.output
    assert "nothing is written: it wasn't confirmed (--yes does without the question)" in shown.output
    # the default currency needs no rate, another one is told of
    assert "No exchange rate from EUR is known, so costs in EUR will have no converted total" in shown.output
    dollars = price_file(tmp_path, "Acme,import-1,USD,2026-01-01,,decided,3,0.3,15,")
    assert "exchange rate" not in run("import", dollars, "--dry-run").output
    first = price_file(tmp_path, "Acme,import-1,EUR,2026-01-01,,decided,3,0.3,15,")
    with connect(database) as connection:
        count = "select count(*) from core.model_prices where model = 'import-1'"
        assert value(connection, count) == 0
        assert run("import", first, "--yes").exit_code == 0
        assert value(connection, count) == 3
        second = price_file(tmp_path, "acme,import-1,EUR,2026-06-01,,known,2,,,")
        shown = run("import", second, "--yes")
        assert "- input_tokens of acme/import-1: 3 ends on 2026-06-01" in shown.output
        assert "`governance reprice --from 2026-06-01` shows what they would cost now" in shown.output
        third = price_file(tmp_path, "acme,import-1,EUR,2026-01-01,2026-06-01,known,2.5,,,")
        shown = run("import", third, "--yes")
        assert "! input_tokens of acme/import-1: 3 from 2026-01-01 on was wrong, is superseded" in shown.output
        held = connection.execute(
            "select unit_price, valid_from::date::text, valid_to::date::text, superseded_at is null"
            " from core.model_prices where model = 'import-1' and unit = 'input_tokens'"
            " order by superseded_at nulls last, 2"
        ).fetchall()
        assert [(str(row[0]), *row[1:]) for row in held] == [
            ("3", "2026-01-01", "2026-06-01", False),
            ("2.5", "2026-01-01", "2026-06-01", True),
            ("2", "2026-06-01", None, True),
        ]


def test_a_file_with_one_bad_line_writes_nothing(database: str, run: Run, tmp_path: Path) -> None:
    path = price_file(tmp_path, "acme,import-2,USD,2026-01-01,,,1,,,", "acme,import-2,USD,2026-02-01,,,2,,,")
    result = run("import", path, "--yes")
    assert result.exit_code == 1
    assert "line 2 and line 3: both have a price for input_tokens of acme/import-2 on 2026-02-01" in result.output
    with connect(database) as connection:
        assert value(connection, "select count(*) from core.model_prices where model = 'import-2'") == 0


def test_show_says_which_price_applies_and_why(database: str, run: Run) -> None:
    result = run("show", "gpt-4o", "--provider", "openai", "--at", "2026-01-15")
    assert result.exit_code == 0, result.output
    assert "openai/gpt-4o, standard, at 2026-01-15 00:00 UTC: USD per million" in result.output
    lines = {line.split()[0]: line for line in result.output.splitlines() if line.strip()}
    assert lines["input_tokens"].split()[1:3] == ["2.5", "2.5"]
    assert "genai-prices" in lines["input_tokens"]
    assert "billed as output_tokens" in lines["reasoning_tokens"]
    assert "since always (assumed)" in lines["cache_read_tokens"]
    batch = run("show", "gpt-4o", "--provider", "openai", "--at", "2026-01-15", "--tier", "batch")
    assert "An estimate: no price of the tier batch is known" in batch.output
    assert "1.25" in run("show", "gpt-4o", "--provider", "openai", "--at", "2026-11-15", "--tier", "batch").output


def test_show_says_why_there_is_none(run: Run) -> None:
    for arguments, match in (
        (("gpt-4oo", "--provider", "openai"), "openai/gpt-4oo has no price: the nearest names are gpt-4o"),
        (("gpt-4o", "--provider", "nobody"), "nobody/gpt-4o has no price: prices know the providers acme, anthropic,"),
        (("gpt-4o", "--team", "no-such-team"), "there is no team with the slug no-such-team"),
    ):
        result = run("show", *arguments)
        assert result.exit_code == 1
        assert match in result.output


def test_list_shows_what_holds(run: Run) -> None:
    result = run("list", "--provider", "openai", "--model", "gpt-4o*", "--at", "2026-11-15")
    assert result.exit_code == 0, result.output
    assert [line.split()[:3] for line in result.output.splitlines()][1:3] == [
        ["openai", "gpt-4o", "standard"],
        ["openai", "gpt-4o", "batch"],
    ]
    assert "no price is known for that" in run("list", "--provider", "nobody").output
