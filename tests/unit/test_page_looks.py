"""What pages look like and how they sound: each class has a look, each look is used, and what is drawn has a name."""

import re

import pytest
from test_plots import contrast

from orchestration.lib.compliance.site.plots import SERIES
from orchestration.lib.settings import project_dir

TEMPLATES = project_dir() / "orchestration/lib/compliance/templates"
STATES = {"ok", "attention", "problem"}
# of each kind of page: its templates, where its style stands, and the classes that come with the data
PAGES = {
    "report": (
        ["report.html.j2", "chart.svg.j2"],
        "report.html.j2",
        {*STATES, "error", "warn", "over", "number", "text", "long", "when"},
    ),
    "site": (
        ["site/page.html.j2", "site/parts.html.j2"],
        "site/style.css",
        {
            *(f"is-{state}" for state in (*STATES, "info")),
            *(f"s{number}" for number in range(SERIES + 1)),
            *("spent", "limit", "expected", "number", "whole", "some", "long"),
        },
    ),
}


def markup(page: str) -> str:
    """The templates of a page without their style and what Jinja reads."""
    text = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in PAGES[page][0])
    text = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    return re.sub(r"\{[%#].*?[%#]\}", " ", text, flags=re.DOTALL)


def style(page: str) -> str:
    text = (TEMPLATES / PAGES[page][1]).read_text(encoding="utf-8")
    return text.partition("<style>")[2].partition("</style>")[0] or text


def written_classes(text: str) -> set[str]:
    """Those that stand in the markup, whatever the data."""
    values = re.findall(r'class="([^"]*)"', text)
    # what is computed takes what it is glued to with it
    return {name for value in values for name in re.sub(r"\S*\{\{.*?\}\}\S*", " ", value).split()}


def styled_classes(text: str) -> set[str]:
    selectors = re.findall(r"([^{};]+)\{", text)
    return {
        name
        for each in selectors
        if not each.strip().startswith("@")
        for name in re.findall(r"\.([a-zA-Z][\w-]*)", each)
    }


@pytest.mark.parametrize("page", PAGES)
def test_each_class_has_a_look_and_each_look_is_used(page: str) -> None:
    _, _, computed = PAGES[page]
    written, styled = written_classes(markup(page)), styled_classes(style(page))
    assert len(written) > 10
    assert (written | computed) - styled == set()
    assert styled - written - computed == set()


@pytest.mark.parametrize("page", PAGES)
def test_what_is_drawn_and_each_part_has_a_name(page: str) -> None:
    text = markup(page)
    named = r'aria-label(?:ledby)?="[^"]'
    drawn = re.findall(r"<svg[^>]*>", text)
    assert drawn or page == "report"
    for tag in drawn:
        assert 'aria-hidden="true"' in tag or ('role="img"' in tag and re.search(named, tag)), tag
    parts = re.findall(r'<(?:nav|section)\b[^>]*>|<[^>]*role="region"[^>]*>', text)
    assert len(parts) > 3
    assert [tag for tag in parts if not re.search(named, tag)] == []
    tables = re.findall(r"<table[^>]*>\s*(?:<caption>)?", text)
    assert tables
    assert [tag for tag in tables if "<caption>" not in tag and not re.search(named, tag)] == []
    assert [tag for tag in re.findall(r"<th\b[^>]*>", text) if "scope=" not in tag] == []
    # `hidden` takes words from everyone, also from who listens
    assert re.findall(r"<[^>]*\shidden\b[^>]*>", text) == []


@pytest.mark.parametrize("theme", [0, 1, 2], ids=["light", "dark", "paper"])
def test_words_of_a_report_can_be_told_from_what_they_stand_on(theme: int) -> None:
    """As WCAG 2.2 AA asks: 4.5 for text, 3 for what is drawn."""
    block = re.findall(r":root \{(.*?)\}", style("report"), flags=re.DOTALL)[theme]
    colours = {
        name: value if len(value) == 7 else f"#{''.join(each * 2 for each in value[1:])}"
        for name, value in re.findall(r"--([\w-]+): (#\w+)", block)
    }
    assert set(colours) == {"ink", "soft", "line", "page", "raised", "mark", *STATES}
    pairs = [(text, ground) for text in ("ink", "soft", "mark", *STATES) for ground in ("page", "raised")]
    found = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in found.items() if ratio < 4.5} == {}
