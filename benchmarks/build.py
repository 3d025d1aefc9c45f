"""How long `dbt build` takes: from an empty database, again, and again inside one process.

python -m benchmarks.build
python -m benchmarks.build --url postgresql://…
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import click

from benchmarks.figures import at_most, server_name, server_options, show
from benchmarks.warehouse import own_database
from orchestration.lib.database.connection import connect
from orchestration.lib.dbt.environment import dbt_environment
from orchestration.lib.dbt.runner import run_dbt


@click.command()
@server_options
def main(url: str | None, as_json: bool) -> None:
    """Times the builds; exit code 1 if a goal is missed."""
    dbt = Path(sys.executable).parent / "dbt"
    with own_database(url, "build") as database:

        def by_command_line(*options: str) -> float:
            begin = time.perf_counter()
            subprocess.run(
                [dbt, "build", *options],
                env=os.environ | dbt_environment(database),
                check=True,
                capture_output=True,
            )
            return time.perf_counter() - begin

        def in_process() -> float:
            begin = time.perf_counter()
            run_dbt(["build"], database, quiet=True)
            return time.perf_counter() - begin

        empty, again = by_command_line("--no-partial-parse"), by_command_line()
        in_process()
        warm = in_process()
        with connect(database) as connection:
            server = server_name(connection)
    figures = [
        at_most("dbt build of an empty database, command line", empty, 25, "s"),
        at_most("again, command line", again, 20, "s"),
        at_most("again, in one process, without unit tests", warm, 10, "s"),
    ]
    show(figures, server, as_json=as_json)


if __name__ == "__main__":
    main()
