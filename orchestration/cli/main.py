"""The `governance` command. Results go to stdout, progress and messages to stderr."""

import sys
from importlib import import_module

import click

from orchestration.cli.terminal import tell_error
from orchestration.lib.errors import GovernanceError, explained

# each command is a function of a module of this package; what a command needs is imported when it runs
_COMMANDS = {
    "server": ("up", "down", "status", "url", "psql", "env"),
    "warehouse": ("build", "migrate", "rebuild-rollups", "move-to-hypertables", "retain", "refresh"),
    "verification": ("verify",),
    "roles": ("roles",),
    "audit": ("audit",),
    "compliance": ("report",),
    "site": ("site",),
    "reviews": ("access-review",),
    "backup": ("backup", "restore", "drill"),
    "usage": ("ingest",),
    "reconciliation": ("reconcile",),
    "identities": ("identities",),
    "accounts": ("user", "key", "role", "session"),
    "organisation": ("organisation",),
    "prices": ("prices",),
    "export": ("export",),
    "reprice": ("reprice",),
    "closing": ("close",),
    "models": ("models",),
    "sources": ("sources",),
    "demo": ("demo",),
    "ui": ("ui",),
}
_MODULES = {command: module for module, commands in _COMMANDS.items() for command in commands}


class _Group(click.Group):
    """Loads a command when it is asked for, and turns what goes wrong in it into one sentence and a true exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        found = getattr(import_module(f"orchestration.cli.{_MODULES[cmd_name]}"), cmd_name.replace("-", "_"))
        assert isinstance(found, click.Command)
        return found

    def invoke(self, ctx: click.Context) -> object:
        """Exit code 1 after an error, 130 after ctrl-c."""
        try:
            with explained():
                return super().invoke(ctx)
        except GovernanceError as error:
            tell_error(error)
            sys.exit(130 if isinstance(error.__cause__, KeyboardInterrupt) else 1)
        except (KeyboardInterrupt, click.Abort):
            click.echo("\ninterrupted: run the same command again, it goes on from what is done", err=True)
            sys.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="llm-governance-warehouse")
def main() -> None:
    """Governs an organisation's use of large language models on PostgreSQL."""
