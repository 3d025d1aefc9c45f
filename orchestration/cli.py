"""The `governance` command. Results go to stdout, progress and messages to stderr."""

import sys

import click

from orchestration.lib.errors import GovernanceError


class _Group(click.Group):
    """Turns a GovernanceError of any command into one line on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except GovernanceError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="llm-governance-warehouse")
def main() -> None:
    """Governs an organisation's use of large language models on PostgreSQL."""
