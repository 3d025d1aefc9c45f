"""One name for each provider and model: what comes out for real spellings, and what holds for any."""

import csv
import random
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import psycopg
import pytest
from core_rows import refused
from genai_prices import data_snapshot, types
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.errors import CheckViolation, InvalidRegularExpression, UniqueViolation

from orchestration.lib.database.connection import Connection, connect
from orchestration.lib.settings import project_dir

# rules are SQL that knows no engine
pytestmark = pytest.mark.engines("postgres")

with (project_dir() / "tests" / "fixtures" / "names" / "spellings.csv").open() as _file:
    SPELLINGS = list(csv.DictReader(_file))
Pair = tuple[str, str]
Name = tuple[str, str, str | None, bool]

# what genai-prices calls providers, and we
ORACLES = {
    "anthropic": "anthropic",
    "aws": "bedrock",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "google": "google",
    "groq": "groq",
    "mistral": "mistral",
    "moonshotai": "moonshot",
    "openai": "openai",
    "openrouter": "openrouter",
    "perplexity": "perplexity",
    "voyageai": "voyage",
    "x-ai": "xai",
}


def resolved(connection: Connection, pairs: Iterable[Pair]) -> dict[Pair, Name]:
    """Canonical provider and model, base model, and whether rules know both, of each pair."""
    said = list(pairs)
    rows = connection.execute(
        "select provider, model, canonical_provider, canonical_model, base_model, is_known"
        " from internal.resolve_names(%s, %s)",
        [[provider for provider, _ in said], [model for _, model in said]],
    ).fetchall()
    assert len(rows) == len(set(said)), "each pair has one name"
    return {(row[0], row[1]): row[2:] for row in rows}


def test_real_spellings_have_the_names_that_people_expect(connection: Connection) -> None:
    names = resolved(connection, [(row["provider"], row["model"]) for row in SPELLINGS])
    expected = {
        (row["provider"], row["model"]): (
            row["canonical_provider"],
            row["canonical_model"],
            row["base_model"] or None,
            row["known"] == "yes",
        )
        for row in SPELLINGS
    }
    assert names == expected


def test_a_name_says_by_which_rules_it_came(connection: Connection) -> None:
    said = [("azure_openai", "azure/gpt-4o-2024-08-06"), ("acme", "m"), ("openai", "gpt-4o"), ("azure", "prod")]
    rows = connection.execute(
        "select provider_origin, origin from internal.resolve_names(%s, %s) order by provider",
        [[provider for provider, _ in said], [model for _, model in said]],
    ).fetchall()
    assert rows == [
        ("as said", "as said"),
        ("azure", "as said"),
        ("azure_openai", "path-azure, then gpt-4o"),
        ("openai", "gpt-4o"),
    ]


# genai-prices as an oracle: it knows each model by clauses, of which the literal ones are spellings


def spellings_in(clause: Any) -> Iterable[str]:
    match clause:
        case types.ClauseEquals():
            yield clause.equals
        case types.ClauseOr():
            for each in clause.or_:
                yield from spellings_in(each)


def price_of(model: Any) -> tuple[str, ...]:
    """Every dated price of a model, in a form that can be compared."""
    prices = model.prices if isinstance(model.prices, list) else [model.prices]
    return tuple(repr(price) for price in prices)


def oracle_models() -> list[tuple[str, Any, str]]:
    """Provider as we call it, the model that genai-prices finds, and a spelling of it."""
    found = []
    for provider in data_snapshot.get_snapshot().providers:
        if provider.id in ORACLES:
            for model in provider.models:
                for said in dict.fromkeys([model.id, *spellings_in(model.match)]):
                    if (matched := provider.find_model(said)) is not None:
                        found.append((ORACLES[provider.id], matched, said))
    return found


def test_no_two_models_of_different_prices_share_a_name(connection: Connection) -> None:
    """A wrong match is worse than none: what is one name here has one price at all times in genai-prices."""
    models = oracle_models()
    names = resolved(connection, [(provider, said) for provider, _, said in models])
    prices: dict[Pair, set[tuple[str, ...]]] = defaultdict(set)
    spelt: dict[Pair, list[str]] = defaultdict(list)
    for provider, model, said in models:
        name = names[provider, said]
        prices[name[:2]].add(price_of(model))
        spelt[name[:2]].append(f"{said} ({model.id})")
    assert {name: spelt[name] for name, different in prices.items() if len(different) > 1} == {}
    # it has something to say: names with several spellings, and most of what it knows of these providers
    assert sum(len(set(said)) > 1 for said in spelt.values()) > 50
    for provider in ("anthropic", "openai", "bedrock", "mistral"):
        of = [said for by, _, said in models if by == provider]
        assert sum(names[provider, said][3] for said in of) > len(of) / 2


def test_our_name_means_the_model_that_the_oracle_finds(connection: Connection) -> None:
    """Where genai-prices knows a spelling of the list and our name for it, they are one price."""
    providers = {ORACLES[p.id]: p for p in data_snapshot.get_snapshot().providers if p.id in ORACLES}
    compared = 0
    for row in SPELLINGS:
        provider = providers.get(row["canonical_provider"])
        said, canonical = row["model"].lower(), row["canonical_model"]
        if provider is None or row["known"] == "no" or (found := provider.find_model(said)) is None:
            continue
        if (ours := provider.find_model(canonical)) is not None:
            assert price_of(found) == price_of(ours), (said, canonical)
            compared += 1
    assert compared > 40


def test_the_rules_of_the_seeds_leave_nothing_to_chance(connection: Connection) -> None:
    """Of the rules of one rank that match a spelling all give the same name, so their order doesn't matter."""
    said = [(row["canonical_provider"], row["model"]) for row in SPELLINGS]
    said += [(provider, model) for provider, _, model in oracle_models()]
    rows = connection.execute(
        """
        select s.provider, s.model, array_agg(r.origin)
        from unnest(%s::text[], %s::text[]) as s (provider, model)
        join internal.name_rules() as r on r.kind = 'model' and (r.providers is null or s.provider = any (r.providers))
            and case r.match when 'exact' then lower(s.model) = r.said
                when 'prefix' then starts_with(lower(s.model), r.said) else s.model ~* r.said end
        join seeds.model_aliases as a on a.rule = r.origin
        group by s.provider, s.model, a.priority, r.match, a.kind
        having count(distinct case r.match
            when 'pattern' then regexp_replace(lower(s.model), r.said, r.canonical) else r.canonical end) > 1
        """,
        [[provider for provider, _ in said], [model for _, model in said]],
    ).fetchall()
    assert rows == []


def test_every_rule_of_the_seeds_can_be_read_and_ends_at_a_name(connection: Connection) -> None:
    assert connection.execute("select count(*) from internal.name_rules() where '' ~ said").fetchone() is not None
    # a provider's one name is that of its rules, also when it is said
    rows = connection.execute(
        "select s.provider, r.canonical_provider from (select distinct provider from seeds.provider_aliases) as s,"
        " internal.resolve_names(array[s.provider], array['']) as r where r.canonical_provider <> s.provider"
    ).fetchall()
    assert rows == []
    known = {row[0] for row in connection.execute("select distinct provider from seeds.provider_aliases").fetchall()}
    rows = connection.execute(
        "select distinct unnest(string_to_array(providers, ' ')) from seeds.model_aliases"
    ).fetchall()
    assert {provider for (provider,) in rows} <= known


# what holds for any spelling, with any rules of one's own

PIECES = ["openai", "azure", "bedrock", "OpenAI", "/", "gpt-4o", "-2024-08-06", "ft:", ":org::id", "models/", "claude-"]
PIECES += [
    "sonnet-4-5",
    "-20250929",
    "us.anthropic.",
    "-v1:0",
    "@20250514",
    "regional.",
    "global.",
    "a",
    "b",
    " ",
    "é",
]
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
)
PAIRS = st.lists(
    st.tuples(st.sampled_from(["openai", "azure", "bedrock", "a"]) | TEXTS, TEXTS), min_size=20, max_size=60
)
OWN = st.lists(
    st.tuples(
        st.sampled_from(["provider", "model"]),
        st.sampled_from(["exact", "prefix"]),
        st.sampled_from(["a", "b", "gpt-4o", "openai", "azure", "claude-sonnet-4-5"]),
        st.sampled_from(["a", "b", "B", "gpt-4o", "openai", "azure", "regional.a"]),
    ),
    max_size=6,
    unique_by=lambda rule: rule[:3],
)


@settings(max_examples=25, deadline=None, print_blob=True)
@given(pairs=PAIRS, own=OWN, seed=st.integers(0, 1000))
def test_every_pair_has_one_name_always_and_a_name_stands_for_itself(
    database: str, pairs: list[Pair], own: list[tuple[str, str, str, str]], seed: int
) -> None:
    with connect(database, autocommit=False) as connection:
        for rule in own:
            connection.execute(
                "insert into core.name_aliases (kind, match, said, canonical) values (%s, %s, %s, %s)", rule
            )
        names = resolved(connection, pairs)
        assert set(names) == set(pairs)
        # in another order, among others, one at a time
        shuffled = random.Random(seed).sample(pairs, len(pairs))
        assert resolved(connection, [*shuffled, ("x", "y")]) == {**names, **resolved(connection, [("x", "y")])}
        assert resolved(connection, pairs[:1]) == {pairs[0]: names[pairs[0]]}
        for name in resolved(connection, {name[:2] for name in names.values()}).items():
            assert name[0] == name[1][:2]
        connection.rollback()


def test_rules_that_lead_in_a_circle_name_nothing(connection: Connection) -> None:
    for said, canonical in (("a", "b"), ("b", "c"), ("c", "a")):
        connection.execute(
            "insert into core.name_aliases (kind, said, canonical) values ('model', %s, %s)", [said, canonical]
        )
    rows = connection.execute("select * from internal.resolve_names(array['openai', 'openai'], array['a', 'c'])")
    assert sorted((row[1], row[3], row[6], row[7]) for row in rows.fetchall()) == [
        (said, said, "as said, for rules lead in a circle", False) for said in ("a", "c")
    ]


def test_own_rules_come_first_and_the_more_exact_before(connection: Connection) -> None:
    for provider, match, said, canonical, priority in (
        ("*", "exact", "gpt-4o", "the four", 100),
        ("*", "prefix", "team-", "team", 100),
        ("*", "prefix", "team-a-", "team a", 100),
        ("*", "pattern", "TEAM-b-(.+)", r"b \1", 100),
        ("*", "exact", "team-a-x", "exactly", 100),
        ("azure", "exact", "team-a-x", "on azure", 100),
        ("*", "pattern", "team-a-y", "first of all", 1),
    ):
        connection.execute(
            "insert into core.name_aliases (kind, provider, match, said, canonical, priority)"
            " values ('model', %s, %s, %s, %s, %s)",
            [provider, match, said, canonical, priority],
        )
    expected = {
        ("openai", "gpt-4o-2024-08-06"): "the four",
        ("openai", "Team-z"): "team",
        ("openai", "team-b-1"): "team",
        ("openai", "team-a-z"): "team a",
        ("openai", "team-a-x"): "exactly",
        ("azure_openai", "azure/team-a-x"): "on azure",
        ("openai", "team-a-y"): "first of all",
    }
    names = resolved(connection, expected)
    assert {pair: name[1] for pair, name in names.items()} == expected
    assert {name[3] for name in names.values()} == {True}


@pytest.mark.parametrize(
    ("values", "error", "says"),
    [
        ({"kind": "team"}, CheckViolation, "name_aliases_kind_check"),
        ({"match": "like"}, CheckViolation, "name_aliases_match_check"),
        ({"said": " "}, CheckViolation, "name_aliases.said is blank"),
        ({"canonical": "\u200b"}, CheckViolation, "name_aliases.canonical"),
        ({"match": "pattern", "said": "gpt-("}, InvalidRegularExpression, "parentheses"),
        ({"kind": "provider", "provider": "azure"}, CheckViolation, "name_aliases_kind_provider_check"),
        ({"said": "twice"}, UniqueViolation, "name_aliases_kind_provider_match_said_key"),
    ],
)
def test_what_is_no_rule_is_refused(
    connection: Connection, values: dict[str, str], error: type[psycopg.Error], says: str
) -> None:
    insert = "insert into core.name_aliases (kind, provider, match, said, canonical) values (%s, %s, %s, %s, %s)"
    rule = {"kind": "model", "provider": "*", "match": "exact", "said": "prod", "canonical": "gpt-4o"}
    connection.execute(insert, list((rule | {"said": "twice"}).values()))
    with refused(connection, error, says):
        connection.execute(insert, list((rule | values).values()))


def test_a_rule_leaves_a_trail(connection: Connection) -> None:
    connection.execute("insert into core.name_aliases (kind, said, canonical) values ('model', 'prod', 'gpt-4o')")
    connection.execute("delete from core.name_aliases where said = 'prod'")
    actions = connection.execute(
        "select action from core.audit_logs where resource_type = 'name_aliases' order by xid, recorded_at"
    ).fetchall()
    assert actions[-2:] == [("name_aliases.insert",), ("name_aliases.delete",)]
