"""How far a load is, on stderr."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

from orchestration.cli.terminal import tell, visible
from orchestration.lib.usage.load import Progress as LoadedSoFar


class LoadProgress:
    """A bar on a terminal, which is gone at the end; elsewhere a line every `seconds`."""

    def __init__(self, seconds: float = 10) -> None:
        console = Console(stderr=True, highlight=False)
        self._bar: Progress | None = None
        if console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[rows]}", markup=False),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=None, rows="")
        self._seconds = seconds
        self._begin = self._shown = time.monotonic()

    def show(self, progress: LoadedSoFar) -> None:
        """Shows how far the load is; without a terminal unless that was done a moment ago."""
        now = time.monotonic()
        position, source = progress.position, visible(progress.source, keep="")
        rows = f"{progress.report.read:,} rows, {progress.report.read / (now - self._begin):,.0f} a second"
        if self._bar is not None:
            self._bar.start()
            self._bar.update(self._task, description=source, total=position.total, completed=position.done, rows=rows)
        elif now - self._shown >= self._seconds:
            self._shown = now
            share = f", {position.done / position.total:.0%} of it" if position.total else ""
            tell(f"{source}{share}: {rows}")

    def note(self, message: str) -> None:
        """A sentence on a line of its own."""
        if self._bar is not None and self._bar.live.is_started:
            self._bar.console.print(visible(message, keep=""), markup=False, soft_wrap=True)
        else:
            tell(visible(message, keep=""))

    def close(self) -> None:
        """Removes the bar."""
        if self._bar is not None:
            self._bar.stop()
