"""The `governance` command. Results go to stdout, progress and messages to stderr."""

import io
import os
import sys
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

from orchestration.cli.groups import Group
from orchestration.cli.terminal import tell_error
from orchestration.lib.errors import GovernanceError, explained

# Each command is a function of a module of this package, below what it is for; what it needs is imported when it runs.
_COMMANDS: dict[str, dict[str, tuple[str, ...]]] = {
    "The database in use": {
        "server": ("up", "down", "status", "url", "psql", "env"),
        "demo": ("demo",),
        "ui": ("ui",),
    },
    "The warehouse": {
        "warehouse": ("build", "migrate", "refresh", "retain", "rebuild-rollups", "move-to-hypertables"),
        "roles": ("roles",),
        "verification": ("verify",),
    },
    "Usage and people": {
        "usage": ("ingest",),
        "sources": ("sources",),
        "identities": ("identities",),
        "organisation": ("organisation",),
        "models": ("models",),
        "accounts": ("user", "key", "role", "session"),
    },
    "Money": {
        "prices": ("prices",),
        "reprice": ("reprice",),
        "closing": ("close",),
        "reconciliation": ("reconcile",),
        "export": ("export",),
    },
    "Evidence": {
        "compliance": ("report",),
        "reviews": ("access-review",),
        "site": ("site",),
        "audit": ("audit",),
        "backup": ("backup", "restore", "drill"),
    },
}
_MODULES = {name: module for modules in _COMMANDS.values() for module, names in modules.items() for name in names}


class _Group(Group):
    """Loads a command when it is asked for, and turns what goes wrong in it into one sentence and a true exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_MODULES)

    def sections(self, ctx: click.Context) -> dict[str, list[str]]:
        return {title: [name for names in modules.values() for name in names] for title, modules in _COMMANDS.items()}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Names the command that may have been meant."""
        if (said := args[0]) not in _MODULES and not said.startswith("-"):
            near = get_close_matches(said, _MODULES, n=1)
            meant = f" Did you mean `governance {near[0]}`?" if near else ""
            raise click.UsageError(f"There is no command {said!r}.{meant}", ctx)
        return super().resolve_command(ctx, args)

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
                try:
                    return super().invoke(ctx)
                finally:
                    _flush()
        except GovernanceError as error:
            _give_up(error)
            sys.exit(130 if isinstance(error.__cause__, KeyboardInterrupt) else 1)
        except (KeyboardInterrupt, click.Abort):
            click.echo("\ninterrupted: run the same command again, it goes on from what is done", err=True)
            sys.exit(130)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Help, too, may be written to a full disk."""
        try:
            with explained():
                return super().main(*args, **kwargs)
        except GovernanceError as error:
            _give_up(error)
            sys.exit(1)


def _flush() -> None:
    """Hands over what is left to say; a reader that has gone, as `head` does, is no error."""
    try:
        # None where it was closed by who called
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _say_no_more()


def _give_up(error: GovernanceError) -> None:
    tell_error(error)
    if isinstance(error.__cause__, OSError) and not error.__cause__.filename:
        _say_no_more()


def _say_no_more() -> None:
    """What is flushed at the end of the process goes nowhere."""
    with suppress(io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="llm-governance-warehouse")
def main() -> None:
    """Governs an organisation's use of large language models on PostgreSQL."""
