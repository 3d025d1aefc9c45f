"""CSV as spreadsheets save it where a comma begins the decimals: its separators, and numbers that are never guessed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.lib.errors import GovernanceError
from orchestration.lib.usage.encoding import Record
from orchestration.lib.usage.files import OpenUsageFile, UsageFile


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., UsageFile]:
    def write(content: str, name: str = "usage.csv") -> UsageFile:
        path = tmp_path / name
        path.write_bytes(content.encode())
        return UsageFile.named(str(path))

    return write


@pytest.fixture
def read(write: Callable[..., UsageFile]) -> Callable[[str], list[Record]]:
    def read(content: str) -> list[Record]:
        with OpenUsageFile(write(content), {}, {}) as file:
            return list(file.records())

    return read


def good(line: int, *values: str) -> Record:
    return (line, None, None, *values)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_what_a_spreadsheet_writes_where_a_comma_begins_the_decimals(
    write: Callable[..., UsageFile], separator: str
) -> None:
    """With a byte order mark, its own line for the separator, empty rows, and numbers that are never guessed."""
    rows = [
        "time;provider;model;input_tokens;cost_amount;latency_ms",
        "t;p;m;1.250;1.234,56;1,5",
        ";;;;;",
        " ; ",
        "t;p;m;12;6,2E-05;",
        "t;p;m;12;0.006;n/a",
        "Total;;;;99,1;",
    ]
    content = "\ufeffsep=;\r\n" + "\r\n".join(rows) + "\r\n\r\n"
    file = write(content.replace(";", separator), "usage.csv" if separator == ";" else "usage.tsv")
    with OpenUsageFile(file, {}, {}, mark=",") as usage:
        records = list(usage.records())
    assert records == [
        good(3, "t", "p", "m", "1250", "1234.56", "1.5"),
        good(6, "t", "p", "m", "12", "6.2E-05", ""),
        (7, "~4 is no plain number whose decimals follow ','", None, "t", "p", "m", "12", "0.006", "n/a"),
        good(8, "Total", "", "", "", "99.1", ""),
    ]


def test_without_numbers_nothing_has_to_be_said_of_them(read: Callable[[str], list[Record]]) -> None:
    assert read("time;provider;model\nt;p;m\n") == [good(2, "t", "p", "m")]


def test_a_comma_in_a_quoted_name_separates_nothing(read: Callable[[str], list[Record]]) -> None:
    assert read('time;provider;model;"a, b, c, d"\nt;p;m;x\n') == [good(2, "t", "p", "m")]


@pytest.mark.parametrize(("name", "content"), [("u.jsonl", '{"time":"t","provider":"p","model":"m"}\n')])
def test_a_decimal_mark_is_for_csv(write: Callable[..., UsageFile], name: str, content: str) -> None:
    with pytest.raises(GovernanceError, match="--decimal is about an invoice, or a CSV without --source"):
        OpenUsageFile(write(content, name), {}, {}, mark=",")


def test_an_invoice_is_recognised_whatever_separates_it(write: Callable[..., UsageFile]) -> None:
    file = write("invoice_id;provider;first_day;amount;currency\nI-1;acme;2026-10-01;1,5;EUR\n")
    with pytest.raises(GovernanceError, match="which are no requests: load it with --source invoice"):
        OpenUsageFile(file, {}, {})
