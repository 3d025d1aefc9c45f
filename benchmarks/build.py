"""How long `dbt build` takes: from an empty database, again, and again inside one process.

python -m benchmarks.build
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.warehouse import empty_server, heading, print_figures
from orchestration.lib.dbt.environment import dbt_environment
from orchestration.lib.dbt.runner import run_dbt


def main() -> None:
    """Times the builds; exit code 1 if a goal is missed."""
    dbt = Path(sys.executable).parent / "dbt"
    with empty_server() as server:
        url = server.url()
        assert url is not None

        def by_command_line(*options: str) -> float:
            begin = time.perf_counter()
            subprocess.run(
                [dbt, "build", *options],
                env=os.environ | dbt_environment(url),
                check=True,
                capture_output=True,
            )
            return time.perf_counter() - begin

        def in_process() -> float:
            begin = time.perf_counter()
            run_dbt(["build"], url, quiet=True)
            return time.perf_counter() - begin

        empty, again = by_command_line("--no-partial-parse"), by_command_line()
        in_process()
        warm = in_process()
    met = print_figures(
        heading(),
        [
            ("dbt build of an empty database, command line", f"{empty:.1f} s", "< 25 s", empty < 25),
            ("again, command line", f"{again:.1f} s", "< 20 s", again < 20),
            ("again, in one process", f"{warm:.1f} s", "< 10 s", warm < 10),
        ],
    )
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
