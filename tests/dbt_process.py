"""dbt in a process of its own, as bin/dbt is, with the tests' shortcuts."""

from dbt.cli.main import cli
from dbt_shortcuts import shortcuts

if __name__ == "__main__":
    with shortcuts():
        cli()
