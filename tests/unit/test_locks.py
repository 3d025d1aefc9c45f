"""The locks hold what pyproject.toml asks for, pinned and hashed, and name no place to download from."""

import json
import re
import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from orchestration.lib.settings import project_dir

# the extras that each holds, "" for what everybody needs
LOCKS = {
    "requirements.lock": [""],
    "requirements-dev.lock": ["", "dev"],
    "requirements-embedded.lock": ["embedded"],
    "requirements-parquet.lock": ["parquet"],
    "requirements-pdf.lock": ["pdf"],
}


def locked(name: str) -> Iterator[tuple[Requirement, str]]:
    """Each requirement of a lock with its own text, which ends where the next one begins."""
    text = (project_dir() / name).read_text()
    for entry in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        yield Requirement(re.split(r" \\$", entry, flags=re.MULTILINE)[0]), entry


def pinned_version(requirement: Requirement) -> str:
    [specifier] = requirement.specifier
    assert specifier.operator == "==", requirement
    return specifier.version


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items(), ids=LOCKS)
def test_lock_satisfies_pyproject(lock: str, extras: list[str]) -> None:
    project = tomllib.loads((project_dir() / "pyproject.toml").read_text())["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    wanted = [requirement for extra in extras for requirement in groups[extra]]
    versions: dict[str, list[str]] = {}
    for requirement, _ in locked(lock):
        versions.setdefault(canonicalize_name(requirement.name), []).append(pinned_version(requirement))
    wrong = []
    for requirement in map(Requirement, wanted):
        found = versions.get(canonicalize_name(requirement.name), [])
        if not found or not all(requirement.specifier.contains(version, prereleases=True) for version in found):
            wrong.append(f"{requirement}: {lock} has {found or 'nothing'}")
    assert wrong == [], "run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_hashes(lock: str) -> None:
    without = [requirement.name for requirement, entry in locked(lock) if "--hash=sha256:" not in entry]
    assert without == []


def test_development_tools_run_beside_the_very_versions_that_users_get() -> None:
    runtime = {(requirement.name, pinned_version(requirement)) for requirement, _ in locked("requirements.lock")}
    development = {
        (requirement.name, pinned_version(requirement)) for requirement, _ in locked("requirements-dev.lock")
    }
    assert runtime - development == set()
    assert len(runtime) > 50


def test_nobody_must_install_the_embedded_server() -> None:
    embedded = {requirement.name for requirement, _ in locked("requirements-embedded.lock")}
    assert embedded
    assert embedded & {requirement.name for requirement, _ in locked("requirements-dev.lock")} == set()


def test_parquet_is_tested_as_users_get_it_and_nobody_must_install_it() -> None:
    def versions(lock: str) -> set[tuple[str, str]]:
        return {(requirement.name, pinned_version(requirement)) for requirement, _ in locked(lock)}

    assert versions("requirements-parquet.lock") <= versions("requirements-dev.lock")
    assert versions("requirements-parquet.lock") & versions("requirements.lock") == set()


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_place_to_download_from(lock: str) -> None:
    text = (project_dir() / lock).read_text()
    places = r"\w+://|^-.*|.*--(?:index|extra-index|find-links|trusted-host).*"
    assert re.findall(places, text, flags=re.MULTILINE) == []


def test_lock_of_the_engines_pins_hashes_and_names_no_place_to_download_from() -> None:
    folder = project_dir() / "tests" / "engines"
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    assert packages.pop("")["dependencies"] == wanted
    assert {f"node_modules/{name}": version for name, version in wanted.items()}.items() <= {
        path: package["version"] for path, package in packages.items()
    }.items()
    assert [path for path, package in packages.items() if not package["integrity"].startswith("sha512-")] == []
    assert [path for path, package in packages.items() if "resolved" in package] == []
