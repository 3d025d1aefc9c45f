"""The pages of `governance site`: links that lead somewhere, CSVs that equal their tables, names that stay names."""

import csv
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from core_rows import add, add_user
from engines import Engine

from orchestration.cli.main import main
from orchestration.cli.ui import where_pages_are
from orchestration.lib.compliance.site import write
from orchestration.lib.compliance.site.listing import SHOWN
from orchestration.lib.compliance.site.write import write_site
from orchestration.lib.database.connection import connect
from orchestration.lib.errors import GovernanceError
from orchestration.lib.verification.run import verify
from orchestration.lib.warehouse.refresh import refresh

pytestmark = pytest.mark.engines("postgres")

SECTIONS = ("index", "spend", "teams", "models", "budgets", "access", "policies", "alerts", "verification")
ODD = "<script>alert(1)</script>"
FORMULA = "=cmd()|' /C calc'!A0"


@dataclass
class Table:
    heads: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)


class Parsed(HTMLParser):
    """Links, ids, elements without an end, and tables with the values of their cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tables: list[Table] = []
        self.headings: list[int] = []
        self.scopes: list[str | None] = []
        self.scripts = 0
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in ("meta", "link", "wbr"):
            self._open.append(tag)
        if href := given.get("href"):
            self.links.append(href)
        if each := given.get("id"):
            self.ids.append(each)
        if tag == "table":
            self.tables.append(Table())
        if tag == "tr" and "tbody" in self._open:
            self.tables[-1].rows.append([])
        if "data-value" in given:
            self.tables[-1].rows[-1].append(given["data-value"] or "")
        if tag == "th":
            self.scopes.append(given.get("scope"))
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        self.scripts += tag == "script"
        assert not [name for name in given if name.startswith("on") or name == "style"], attrs

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self._open and self._open[-1] == tag:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["th"] and "thead" in self._open:
            self.tables[-1].heads.append(data)


@pytest.fixture(scope="module")
def warehouse(database: str) -> str:
    now = datetime.now(UTC)
    with connect(database) as connection:
        top = add(
            connection, "teams", name=ODD, slug="odd", budget_amount=Decimal(1), budget_period="month", currency="USD"
        )
        below = add(connection, "teams", name=FORMULA, slug="formula", parent_team_id=top, budget_amount=Decimal("0.5"))
        twin = add(connection, "teams", name=FORMULA, slug="twin", parent_team_id=top, budget_amount=Decimal("0.5"))
        add_user(connection, display_name=ODD, email="odd@example.com")
        add(connection, "alerts", alert_type="budget", severity="high", title=ODD)
        for number, (team, cost, currency) in enumerate(
            [(top, "0.5", "USD"), (below, "0.75", "USD"), (twin, "0.000000001", "EUR"), (None, None, "USD")]
        ):
            for days in (0, 40):
                connection.execute(
                    "insert into core.llm_metrics"
                    " (time, request_id, team_id, provider, model, cost_amount, cost_source, status, currency)"
                    " values (%s, %s, %s, '=provider', %s, %s, %s, %s, %s)",
                    [
                        *(now - timedelta(days=days, seconds=1), f"r{number}-{days}", team, ODD, cost),
                        *("provider" if cost else "unpriced", "success" if number else "blocked", currency),
                    ],
                )
    refresh(database)
    verify(database, ["unpriced_requests", "budgets_*", "governance"])
    return database


@pytest.fixture(scope="module")
def site(warehouse: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_site(warehouse, tmp_path_factory.mktemp("pages") / "site").parent


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Parsed]:
    return {path.name: Parsed(path.read_text(encoding="utf-8")) for path in site.glob("*.html")}


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_budgets_of_teams_of_one_name_are_told_apart(site: Path) -> None:
    names = {
        name: {row[0] for row in read_csv(site / "csv" / f"budgets-{name}.csv") if FORMULA in row[0]}
        for name in ("budgets", "crossings")
    }
    assert {name[-len("(formula)") :] for name in names["crossings"]} == {"(formula)"}
    assert len(names["budgets"]) == 2
    assert names["crossings"] < names["budgets"]


def test_all_pages_are_there_and_each_link_leads_somewhere(site: Path, pages: dict[str, Parsed]) -> None:
    assert {f"{name}.html" for name in (*SECTIONS, "team-odd", "team-formula", "team-twin", "access-keys")} <= set(
        pages
    )
    reached = set()
    for name, page in pages.items():
        assert len(set(page.ids)) == len(page.ids), name
        for link in page.links:
            file, _, part = link.partition("#")
            if link.startswith("data:image/svg+xml,"):
                continue
            assert ":" not in link, link
            reached.add(file or name)
            assert (site / (file or name)).is_file(), (name, link)
            if part:
                assert part in pages[file or name].ids
    # nothing lies there that no link leads to
    lying = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}
    assert lying - reached == {write.MANIFEST}


def test_each_csv_equals_its_table(site: Path, pages: dict[str, Parsed]) -> None:
    compared = 0
    for name, page in pages.items():
        files = [link for link in page.links if link.startswith("csv/")]
        assert len(files) == len(page.tables), name
        for file, table in zip(files, page.tables, strict=True):
            heads, *rows = read_csv(site / file)
            assert len(heads) == len(table.heads)
            # a formula begins with an apostrophe in the file, and is what it is on the page
            assert [[cell.removeprefix("'") for cell in row] for row in rows[:SHOWN]] == table.rows
            compared += 1
    assert compared > 30


def test_names_are_shown_and_never_run(site: Path, pages: dict[str, Parsed]) -> None:
    for name, page in pages.items():
        text = (site / name).read_text(encoding="utf-8")
        assert page.scripts == 1, name
        assert "alert(1)</script>" not in text
        # what runs is what the page itself allows, whatever gets into it
        assert "default-src 'none'" in html.unescape(text)
        assert re.findall(r"(?:https?:)?//[\w.]", re.sub('href="data:[^"]+"', "", text)) == []
        assert "@import" not in text
        assert "url(" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in (site / "teams.html").read_text(encoding="utf-8")
    cells = [cell for path in site.glob("csv/*.csv") for row in read_csv(path) for cell in row]
    assert f"'{FORMULA}" in cells or any(cell.startswith("'=cmd()") for cell in cells)
    assert [cell for cell in cells if cell.startswith(("=", "@", "+")) or re.match(r"-[^\d]", cell)] == []


def test_a_page_can_be_read_with_other_senses(pages: dict[str, Parsed], site: Path) -> None:
    for name, page in pages.items():
        assert page.headings[0] == 1, name
        assert page.headings.count(1) == 1
        assert all(later <= before + 1 for before, later in zip(page.headings, page.headings[1:], strict=False))
        assert None not in page.scopes
        text = (site / name).read_text(encoding="utf-8")
        assert text.count('class="plot"') == text.count("<desc ")
        assert '<html lang="en">' in text


def test_figures_are_those_of_the_requests(site: Path) -> None:
    heads, *rows = read_csv(site / "csv" / "teams-teams.csv")
    by_team = {
        (row[0].removeprefix("'"), row[heads.index("currency")]): dict(zip(heads, row, strict=True)) for row in rows
    }
    top = next(row for (team, currency), row in by_team.items() if team.endswith(ODD) and currency == "USD")
    assert (Decimal(top["cost"]), Decimal(top["with_teams_below"])) == (Decimal("0.5"), Decimal("1.25"))
    euros = [row for (_, currency), row in by_team.items() if currency == "EUR" and Decimal(row["cost"] or 0)]
    assert [Decimal(row["cost"]) for row in euros] == [Decimal("0.000000001")]
    # two teams of one name are two rows, each with its own page
    spent = read_csv(site / "csv" / "spend-teams.csv")[1:]
    assert len({row[0] for row in spent if "cmd()" in row[0]}) == 2
    assert ["no team", "USD", "", "1", "1"] in spent
    index = (site / "index.html").read_text(encoding="utf-8")
    assert "1 of 4 requests in 30 days" in index
    assert "1.25 USD" in index
    assert "125.0\N{NO-BREAK SPACE}%" in index
    # 40 days ago is another span, and in none of these 30
    assert Decimal(read_csv(site / "csv" / "models-models.csv")[1][3]) == Decimal("1.25")


def test_again_is_the_same_but_for_the_moment(warehouse: str, site: Path, tmp_path: Path) -> None:
    again = write_site(warehouse, tmp_path / "site").parent
    files = sorted(path.relative_to(site) for path in site.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    moment = re.compile(r'<time id="as-of">[^<]+</time>|"as_of": "[^"]+"')
    for file in files:
        one, other = ((folder / file).read_bytes().decode() for folder in (site, again))
        assert moment.sub("", one) == moment.sub("", other), file


def test_it_takes_the_place_of_itself_only(warehouse: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOVERNANCE_DATABASE_URL", warehouse)
    monkeypatch.setenv("GOVERNANCE_HOME", str(tmp_path))
    assert "`governance site` writes" in where_pages_are()
    folder = tmp_path / "site"
    done = CliRunner().invoke(main, ["site"])
    assert (done.exit_code, done.stdout) == (0, f"{folder / 'index.html'}\n")
    assert (folder / "index.html").as_uri() in where_pages_are()
    (folder / "team-gone.html").write_text("of a team that was")
    assert CliRunner().invoke(main, ["site"]).exit_code == 0
    assert not (folder / "team-gone.html").exists()

    def broken(path: Path, text: str) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(write, "_put", broken)
        with pytest.raises(OSError, match="No space left"):
            write_site(warehouse, folder)
    # the former one is still whole
    assert len(list(folder.glob("*.html"))) == len(json.loads((folder / write.MANIFEST).read_text())["pages"])
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(GovernanceError, match="holds no site of ours"):
        write_site(warehouse, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").is_file()


@pytest.fixture
def empty(engine: Engine) -> Iterator[str]:
    with engine.database("site_empty") as url:
        yield url


def test_an_empty_warehouse_says_so(empty: str, tmp_path: Path) -> None:
    folder = write_site(empty, tmp_path / "site").parent
    assert {f"{name}.html" for name in SECTIONS} <= {path.name for path in folder.glob("*.html")}
    for path in folder.glob("*.html"):
        Parsed(path.read_text(encoding="utf-8"))
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert index.count("no data") >= 4
    # what nobody asked about is not fine; the budget that ships is not used up, and no alert is open
    fine = re.findall(r'<li class="card is-ok">\s*<h2>(?:<a [^>]+>)?([^<]+)<', index)
    assert fine == ["Budgets used up", "Open alerts"]
