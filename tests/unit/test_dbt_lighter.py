"""What is done in dbt's place gives what dbt gives."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from dbt import compilation
from dbt.clients.jinja import MacroStack
from dbt.compilation import InjectedCTE, inject_ctes_into_sql
from dbt.context.macros import MacroNamespace, MacroNamespaceBuilder
from dbt.context.manifest import ManifestContext
from dbt_common.clients import agate_helper

from orchestration.lib.dbt.lighter import build_namespace, context_of, lighter, type_tester, with_ctes

CTES = [InjectedCTE("a", " __dbt__cte__a as (\nselect 1 as one\n)"), InjectedCTE("b", " __dbt__cte__b as (select 2)")]


def fail(*_: object) -> str:
    pytest.fail("dbt was asked")


@pytest.mark.parametrize(
    "sql",
    [
        "with x as (select 1) select * from x",
        "\n\n-- one row per day; not a statement\n\nWITH\n    x as (select 1)\n\nselect * from x union all select 1",
        "/* a with */ with recursive x as (select 1) select * from x",
        "with recursive\n    x (n) as (select 1 union all select n + 1 from x)\nselect * from x",
        "with -- of it\nx as (select 1) select * from x",
        "  with x as materialized (with y as (select 1) select * from y) select * from x",
        "\n-- one row per day\nselect 1",
        "  select 'a' as b from __dbt__cte__a\n",
        "select case when true then 1 end from (select 1) as x",
        "table __dbt__cte__a",
        # what only dbt can do
        "select * from unnest(array[1]) with ordinality",
        "select (with x as (select 1) select * from x)",
        "select 'with' as a",
        "-- with\nselect 1",
        "select 1; select 2",
        "with x as (select ';') select * from x",
    ],
)
@pytest.mark.parametrize("ctes", [CTES, CTES[:1], []], ids=len)
def test_ctes_of_ephemeral_models_come_first(sql: str, ctes: list[InjectedCTE]) -> None:
    assert with_ctes(sql, ctes, otherwise=inject_ctes_into_sql) == inject_ctes_into_sql(sql, ctes)


def test_ordinary_models_need_no_parser() -> None:
    for sql in ("-- one row per day\nwith x as (select 1) select * from x", "-- one row per day\nselect 1"):
        assert with_ctes(sql, CTES, otherwise=fail).count("__dbt__cte__") == 2


ROWS: list[dict[str, Any]] = [
    {"a": "1", "b": 1, "c": None, "d": "2026-01-02", "e": True, "f": 1.5, "g": {"x": 1}, "h": ""},
    {"a": "", "b": 2, "c": "null", "d": "2026-01-02 03:04:05", "e": False, "f": None, "g": None, "h": "null"},
]


@pytest.mark.parametrize("rows", [ROWS, ROWS[:1], []], ids=len)
def test_answers_are_read_alike(rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> list[object]:
        table = agate_helper.table_from_data_flat(rows, list(ROWS[0]))
        seen = [type(each).__name__ for each in table.column_types]
        return [table.column_names, seen, [tuple(row) for row in table.rows]]

    expected = read()
    monkeypatch.setattr(agate_helper, "build_type_tester", type_tester)
    assert read() == expected


MACROS = {
    package: {
        name: SimpleNamespace(package_name=package, name=name, unique_id=f"macro.{package}.{name}") for name in names
    }
    for package, names in {
        "dbt": ("of_dbt", "of_both"),
        "dbt_postgres": ("of_both", "of_postgres"),
        "governance": ("of_ours", "of_dbt", "shared"),
        "package": ("of_package", "shared"),
    }.items()
}


@pytest.mark.parametrize("package", ["governance", "package", "dbt"])
def test_a_template_knows_the_same_macros(package: str) -> None:
    def known(build: Callable[..., MacroNamespace], to_dict: Callable[[Any], dict[str, Any]]) -> object:
        context: dict[str, Any] = {}
        stack, node = MacroStack(), object()
        builder = MacroNamespaceBuilder("governance", package, stack, ["dbt_postgres", "dbt"], node)
        made = object.__new__(ManifestContext)
        made.__dict__.update(
            _ctx=context,
            namespace=build(builder, MACROS, context),
            _context_members_={},
        )
        found = to_dict(made)
        for each in found.values():
            if hasattr(each, "macro"):
                assert (each.context, each.stack) == (context, stack)
        return {
            name: each.macro.unique_id if hasattr(each, "macro") else sorted(each)
            for name, each in found.items()
            if name not in ("context", "builtins")
        }

    ours = known(build_namespace, lambda made: context_of(made, otherwise=fail))  # type: ignore[arg-type]
    assert ours == known(MacroNamespaceBuilder.build_namespace, ManifestContext.to_dict)
    assert "of_postgres" in str(ours)


def replaced() -> list[object]:
    return [
        compilation.inject_ctes_into_sql,
        agate_helper.build_type_tester,
        MacroNamespaceBuilder.build_namespace,
        ManifestContext.to_dict,
    ]


def test_afterwards_dbt_is_as_it_was() -> None:
    before = replaced()

    def fail_within() -> None:
        with lighter():
            assert all(now != then for now, then in zip(replaced(), before, strict=True))
            raise RuntimeError("in it")

    with pytest.raises(RuntimeError, match="in it"):
        fail_within()
    assert replaced() == before
