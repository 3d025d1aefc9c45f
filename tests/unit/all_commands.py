"""Every command of `governance` by the words it is called by."""

from collections.abc import Iterator

import click

from orchestration.cli.main import main


def _commands(group: click.Group = main, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        yield " ".join((*words, name)), command
        if isinstance(command, click.Group):
            yield from _commands(command, (*words, name))


COMMANDS = dict(_commands())
# of these the arguments are another program's
PASSED_ON = {"psql", "build", "rebuild-rollups"}
