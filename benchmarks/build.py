"""How long a build takes: plain dbt and `governance build` from an empty database, again, and inside one process.

python -m benchmarks.build
python -m benchmarks.build --url postgresql://…
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import click

from benchmarks.figures import at_most, server_name, server_options, show, told
from benchmarks.warehouse import own_database
from orchestration.lib.database.connection import connect
from orchestration.lib.dbt.environment import dbt_environment
from orchestration.lib.dbt.runner import run_dbt

PROGRAMS = Path(sys.executable).parent


def took(program: str, *arguments: str, **variables: str) -> float:
    """Seconds of a command."""
    begin = time.perf_counter()
    subprocess.run(
        [PROGRAMS / program, "build", *arguments], env=os.environ | variables, check=True, capture_output=True
    )
    return time.perf_counter() - begin


@click.command()
@server_options
def main(url: str | None, as_json: bool) -> None:
    """Times the builds; exit code 1 if a goal is missed."""
    with own_database(url, "build") as database:
        variables = dbt_environment(database)
        empty, again = took("dbt", "--no-partial-parse", **variables), took("dbt", **variables)

        def in_process() -> float:
            begin = time.perf_counter()
            run_dbt(["build"], database, quiet=True)
            return time.perf_counter() - begin

        in_process()
        warm = in_process()
        with connect(database) as connection:
            server = server_name(connection)
    with own_database(url, "build") as database:
        governed, governed_again = (took("governance", GOVERNANCE_DATABASE_URL=database) for _ in range(2))
    figures = [
        at_most("dbt build of an empty database, command line", empty, 25, "s"),
        at_most("again, command line", again, 20, "s"),
        told("governance build of an empty database, which runs no unit tests", governed, "s"),
        told("again", governed_again, "s"),
        at_most("again, in one process", warm, 10, "s"),
    ]
    show(figures, server, as_json=as_json)


if __name__ == "__main__":
    main()
