"""What is read of the files of each source: small files of real shape, and the requests that a person finds in them."""

import json
from pathlib import Path

import pytest

from orchestration.lib.usage.files import OpenUsageFile, UsageFile
from orchestration.lib.usage.sources.catalogue import SOURCES, source_named

GOLDEN = Path(__file__).parents[1] / "fixtures" / "sources"
FILES = sorted(path for path in GOLDEN.iterdir() if path.is_file())


def requests(path: Path, source: str | None = None) -> list[dict[str, object]]:
    """What is read of a file: the values that are said, `wrong` where the record is refused, and its line."""
    known = source_named(source) if source else None
    with OpenUsageFile(UsageFile.named(str(path)), {}, {}, source=known) as file:
        found = []
        for line, wrong, raw, *values in file.records():
            pairs = zip(file.read.targets, values, strict=True)
            said: dict[str, object] = {name: value for name, value in pairs if value is not None}
            said |= {name: json.loads(str(said[name])) for name in ("tags", "metadata") if name in said}
            if wrong:
                said["wrong"] = wrong
            if raw is not None:
                said["raw"] = raw
            found.append({"line": line, **said})
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_as_its_source_writes_it(path: Path) -> None:
    expected = json.loads((GOLDEN / "expected" / f"{path.stem}.json").read_text())
    assert requests(path, path.stem.split(".")[0]) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_recognised(path: Path) -> None:
    assert requests(path) == requests(path, path.stem.split(".")[0])


def test_every_source_has_such_a_file() -> None:
    assert {path.stem.split(".")[0] for path in FILES} == set(SOURCES)


def test_the_docs_have_each_source() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
    for name in SOURCES:
        assert f"\n## {name}\n" in page
        assert f"\n| `{name}` | " in page


def test_what_fills_a_target_is_said_of_those_that_are_filled() -> None:
    filled = {name: set[str]() for name in SOURCES}
    for path in FILES:
        name = path.stem.split(".")[0]
        filled[name] |= {key for request in requests(path, name) for key in request}
    for name, source in SOURCES.items():
        assert filled[name] - {"line", "wrong", "raw", "metadata"} <= set(source.fills)


SPAN = (GOLDEN / "otlp.jsonl").read_text().splitlines()[0]


@pytest.mark.parametrize("name", ["t.json", "t.jsonl"])
@pytest.mark.parametrize(
    ("content", "read", "refused"),
    [
        (f"{SPAN}\n{SPAN}\n", 2, 0),
        (f"\ufeff{SPAN}\r\n\r\n{SPAN}", 2, 0),
        (f"{{broken\n{SPAN}\n{SPAN[:-9]}\n{SPAN}\n", 2, 2),
        (f"{SPAN}\n{SPAN[: len(SPAN) // 2]}", 1, 1),
        (f"[{SPAN},\n{SPAN}]", 2, 0),
        (f"[{SPAN},{SPAN[:50]}", 1, 1),
        (f"{SPAN}\nnull\n[1]\n5\n", 1, 3),
    ],
)
def test_lines_arrays_and_documents(tmp_path: Path, name: str, content: str, read: int, refused: int) -> None:
    path = tmp_path / name
    path.write_text(content, newline="")
    found = requests(path, "otlp")
    assert len([row for row in found if "raw" not in row]) == read
    assert len([row for row in found if "raw" in row]) == refused
    assert all(row["wrong"] for row in found if "raw" in row)


def test_a_document_over_many_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    document = json.loads(SPAN)
    path.write_text(json.dumps([document] * 500, indent=2))
    assert len(requests(path)) == 500
    path.write_text(json.dumps(document, indent=2) + "\n" + json.dumps(document, indent=2))
    assert len(requests(path)) == 2
