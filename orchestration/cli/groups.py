"""Commands that have commands: their help says each one's first sentence in full."""

from collections.abc import Mapping, Sequence

import click


class Group(click.Group):
    """Wraps what it says of a command where click would break it off in the middle."""

    def sections(self, ctx: click.Context) -> Mapping[str, Sequence[str]]:
        """The names of the commands below the headings that they stand under."""
        return {"Commands": self.list_commands(ctx)}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One list for each section."""
        widest = max(len(name) for names in self.sections(ctx).values() for name in names)
        for title, names in self.sections(ctx).items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(widest), _first_sentence(each)) for name, each in found if each and not each.hidden]
                )


def _first_sentence(command: click.Command) -> str:
    return command.get_short_help_str(limit=1_000)
