"""Figures, their goals, and how a script shows them: as a table that can be pasted, or JSON for benchmarks.table."""

import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import NoReturn, TypeVar

import click

from benchmarks.timing import Time
from orchestration.lib.database.connection import Connection

Command = TypeVar("Command", bound=Callable[..., None])
UNKNOWN = "\N{EN DASH}"
VERDICTS = {True: "met", False: "MISSED", None: ""}


@dataclass(frozen=True)
class Figure:
    """A line of a table; `met` is None where nothing is asked of it. `cpu` is of the backend."""

    what: str
    measured: str
    cpu: str = ""
    goal: str = ""
    met: bool | None = None


def told(what: str, measured: float, unit: str, digits: int = 1) -> Figure:
    """A figure without a goal."""
    return Figure(what, _number(measured, unit, digits))


def at_most(what: str, measured: float, goal: float, unit: str, digits: int = 1) -> Figure:
    return Figure(what, _number(measured, unit, digits), "", f"≤ {goal:g} {unit}", measured <= goal)


def at_least(what: str, measured: float, goal: float, unit: str, digits: int = 2) -> Figure:
    return Figure(what, _number(measured, unit, digits), "", f"≥ {goal:g} {unit}", measured >= goal)


def timed(what: str, time: Time, goal: float | None = None) -> Figure:
    """The best of several runs, with the CPU time of the backend."""
    cpu = UNKNOWN if time.cpu is None else _number(time.cpu, "ms", 2)
    if goal is None:
        return Figure(what, _number(time.best, "ms", 2), cpu)
    return Figure(what, _number(time.best, "ms", 2), cpu, f"≤ {goal:g} ms", time.best <= goal)


def worked(what: str, seconds: tuple[float, float | None], goal: float | None = None) -> Figure:
    """A piece of work with sessions of its own, once."""
    wall, cpu = seconds
    verdict = ("", None) if goal is None else (f"≤ {goal:g} s", wall <= goal)
    return Figure(what, _number(wall, "s", 1), UNKNOWN if cpu is None else _number(cpu, "s", 1), *verdict)


def _number(value: float, unit: str, digits: int) -> str:
    return f"{value:,.{digits}f} {unit}".strip()


def server_name(connection: Connection) -> str:
    """Such as "TimescaleDB 2.26.4 on PostgreSQL 15.18"."""
    [(name,)] = connection.execute(
        "select concat_ws(' on ',"
        " (select 'TimescaleDB ' || extversion from pg_extension where extname = 'timescaledb'),"
        " 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1))"
    )
    return str(name)


def server_options(command: Command) -> Command:
    """The options --url and --json, which every script has that measures a server."""
    url = click.option(
        "--url", help="Of any database of a server, as a superuser, such as one with TimescaleDB; else an embedded one."
    )
    return url(click.option("--json", "as_json", is_flag=True, help="Print JSON, for benchmarks.table.")(command))


def show(figures: list[Figure], server: str, *conditions: str, as_json: bool) -> NoReturn:
    """Print the figures and what they depend on; ends with exit code 1 if a goal is missed."""
    heading = ", ".join([server, platform.machine(), f"{os.cpu_count()} cores", f"{datetime.now(UTC):%F}", *conditions])
    if as_json:
        values = {"server": server, "heading": heading, "figures": [asdict(figure) for figure in figures]}
        click.echo(json.dumps(values, indent=2, ensure_ascii=False))
    else:
        click.echo(f"{heading}\n")
        rows = [[each.what, each.goal, each.measured, each.cpu, VERDICTS[each.met]] for each in figures]
        click.echo(table([["figure", "goal", "measured", "CPU", ""], *rows]))
    sys.exit(1 if any(figure.met is False for figure in figures) else 0)


def table(rows: list[list[str]]) -> str:
    """A table of Markdown, its first row the headings."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(widths), *lines[1:]])
