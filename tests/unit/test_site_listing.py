"""Cells of the tables of `governance site`."""

from decimal import Decimal

from orchestration.lib.compliance.site.listing import listing


def test_hours_are_numbers_that_sort_and_have_a_decimal() -> None:
    table = listing("a", "A", [{"hours_to_resolve": Decimal("37.1"), "open": 1200}], ("hours_to_resolve", "open"))
    assert [(held, shown) for held, shown, _, _ in table.cells()[0]] == [("37.1", "37.1"), ("1200", "1,200")]
    assert table.is_number("hours_to_resolve")
