"""Writes the folder of pages."""

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from importlib.resources import files
from itertools import chain
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment

from orchestration.lib.compliance import render
from orchestration.lib.compliance.site import governance, overview, spending
from orchestration.lib.compliance.site.data import Data, read
from orchestration.lib.compliance.site.page import SECTIONS, Page
from orchestration.lib.errors import GovernanceError
from orchestration.lib.folders import whole_folder

MANIFEST = "site.json"
_ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><rect x='1' y='8' width='3.6' height='7' "
    "fill='#2f6690'/><rect x='6.2' y='4' width='3.6' height='11' fill='#3a9c8f'/><rect x='11.4' y='1' width='3.6' "
    "height='14' fill='#e08e2b'/></svg>"
)


def write_site(url: str, folder: Path) -> Path:
    """Write the pages of the database at `url` into `folder`, in place of those that are there; returns index.html.

    Raises GovernanceError where the folder holds something else.
    """
    folder = folder.absolute()
    if folder.exists() and not is_site(folder):
        raise GovernanceError(
            f"{folder} is there and holds no site of ours: give another folder with --output, or move it away"
        )
    data = read(url)
    environment = _environment(data)
    template = environment.get_template("site/page.html.j2")
    names = []
    with whole_folder(folder, over=True) as written:
        (written / "csv").mkdir()
        for page in pages(data):
            _put(written / f"{page.name}.html", template.render(page=page))
            names.append(page.name)
            for listing in page.listings:
                _put(written / "csv" / f"{page.name}-{listing.name}.csv", listing.csv)
        about = {"as_of": f"{data.as_of:%Y-%m-%dT%H:%M:%SZ}", "version": _version(), "pages": names}
        _put(written / MANIFEST, f"{json.dumps(about, indent=1)}\n")
    return folder / "index.html"


def is_site(folder: Path) -> bool:
    """Whether a folder is one that was written here, or empty."""
    return folder.is_dir() and ((folder / MANIFEST).is_file() or next(folder.iterdir(), None) is None)


def pages(data: Data) -> Iterator[Page]:
    """All pages."""
    return chain(overview.pages(data), spending.pages(data), governance.pages(data))


def _environment(data: Data) -> Environment:
    folder = files("orchestration.lib.compliance") / "templates" / "site"
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("style.css", "sort.js"))
    environment = render.templates()
    environment.filters |= {"file": _file, "day": _day}
    environment.globals |= {
        "sections": SECTIONS,
        "as_of": f"{data.as_of:%Y-%m-%d %H:%M} UTC",
        "zone": data.zone,
        "version": _version(),
        "style": style,
        "script": script,
        "icon": f"data:image/svg+xml,{quote(_ICON)}",
        # also a browser that is shown something we let through runs nothing but this
        "policy": f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'",
    }
    return environment


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _file(name: str) -> str:
    page, mark, part = name.partition("#")
    return f"{page}.html{mark}{part}"


def _day(day: str) -> str:
    said = date.fromisoformat(day)
    return f"{said.day} {said:%b}"


def _version() -> str:
    return version("llm-governance-warehouse")


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")
