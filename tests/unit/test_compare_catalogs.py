"""Comparing two catalogs; reading them is tested on real databases."""

from orchestration.lib.verification.drift.catalog import Catalog, CatalogObject, compare_catalogs


def catalog(*objects: CatalogObject, partitions: dict[str, str] | None = None) -> Catalog:
    return Catalog({(thing.kind, thing.name): thing for thing in objects}, partitions or {})


def lines(expected: Catalog, found: Catalog) -> list[str]:
    return [str(difference) for difference in compare_catalogs(expected, found)]


USERS = CatalogObject("table", "core.users", "core", {"owner": "the owner"})
EMAIL = CatalogObject("column", "core.users.email", "core.users", {"type": "text", "nullability": "not null"})


def test_equal_catalogs_have_no_difference() -> None:
    assert lines(catalog(USERS, EMAIL), catalog(EMAIL, USERS)) == []


def test_each_property_that_differs_is_a_line_with_both_values() -> None:
    changed = CatalogObject(
        "column", "core.users.email", "core.users", {"type": "text", "nullability": "null allowed", "default": "''"}
    )
    assert lines(catalog(USERS, EMAIL), catalog(USERS, changed)) == [
        "column core.users.email: found default '', expected nothing",
        "column core.users.email: found nullability null allowed, expected not null",
    ]


def test_what_only_one_side_has_is_named_without_its_parts() -> None:
    view = CatalogObject("view", "core.seen", "core", {"definition": "select 1"})
    column = CatalogObject("column", "core.seen.one", "core.seen", {"type": "integer"})
    assert lines(catalog(USERS, EMAIL), catalog(view, column)) == [
        "table core.users is missing",
        "view core.seen is not expected: select 1",
    ]


def test_of_long_texts_the_first_line_that_differs_is_shown() -> None:
    expected = CatalogObject("function", "core.f()", "core", {"body": "begin\n    return 1;\nend"})
    found = CatalogObject("function", "core.f()", "core", {"body": "begin\n    return 2;\nend"})
    assert lines(catalog(expected), catalog(found)) == [
        "function core.f(): found body (line 2) return 2;, expected return 1;"
    ]


def partition(name: str, index: str) -> list[CatalogObject]:
    return [
        CatalogObject("table", f"core.{name}", "core", {"partition of": "core.metrics"}),
        CatalogObject("index", f"time_idx on core.{name}", f"core.{name}", {"definition": index}),
        CatalogObject("trigger", f"log on core.{name}", f"core.{name}", {"definition": f"on core.{name}"}),
    ]


def test_each_partition_is_compared_with_one_that_is_expected_whatever_its_dates() -> None:
    expected = catalog(
        *partition("metrics_20260105", "btree (time)"), partitions={"core.metrics_20260105": "core.metrics"}
    )
    good, bad = partition("metrics_20270104", "btree (time)"), partition("metrics_20270111", "btree (id)")
    found = catalog(
        *good, *bad[:2], partitions={"core.metrics_20270104": "core.metrics", "core.metrics_20270111": "core.metrics"}
    )
    assert lines(expected, found) == [
        "index time_idx on core.metrics_20270111: found definition btree (id), expected btree (time)",
        "trigger log on core.metrics_20270111 is missing: on core.metrics_20270111",
    ]


def test_partitions_of_a_table_that_is_expected_without_any_are_left_out() -> None:
    found = catalog(
        USERS, *partition("metrics_20270104", "btree (time)"), partitions={"core.metrics_20270104": "core.metrics"}
    )
    assert lines(catalog(USERS), found) == []
