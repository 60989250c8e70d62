"""How a run goes, on stderr: a bar with the time left and the events so far."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from runner.trace import Watcher

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

_REDRAW_SECONDS = 0.5
"""What is drawn ten times a second, as Rich does, takes 2 % of a processor from those that are measured."""


def progress_for_stderr(duration_seconds: float | None) -> ProgressBar | ProgressLines:
    """Return what shows a run's progress on a terminal: a bar, or lines where it cannot draw."""
    dumb = Console(file=sys.stderr).is_dumb_terminal
    return ProgressLines(duration_seconds) if dumb else ProgressBar(duration_seconds)


class ProgressLines(Watcher):
    """Say in lines what happens."""

    def __init__(self, duration_seconds: float | None) -> None:
        """Take how long the window is, where that is known."""
        self._window = "" if duration_seconds is None else f" for {duration_seconds:g} s"

    def __enter__(self) -> Self:
        print("attaching", file=sys.stderr, flush=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        pass

    def attached(self) -> None:
        """Say that the clock runs."""
        print(f"tracing{self._window}; Ctrl-C ends it", file=sys.stderr, flush=True)

    def ending(self) -> None:
        """Say that the window is over."""
        print("reading maps", file=sys.stderr, flush=True)


class ProgressBar(Watcher):
    """Draw a bar that fills over the window; where the end is not known, a bar without one."""

    def __init__(self, duration_seconds: float | None) -> None:
        """Prepare the bar; it is drawn inside the context."""
        self._total = duration_seconds
        self._progress = Progress(
            TextColumn("{task.fields[state]}"),
            BarColumn(),
            TimeElapsedColumn() if duration_seconds is None else TimeRemainingColumn(),
            TextColumn("{task.fields[events]}"),
            console=Console(file=sys.stderr, highlight=False),
            transient=True,
            refresh_per_second=1 / _REDRAW_SECONDS,
        )
        self._task = self._progress.add_task(
            "run", total=duration_seconds, start=False, state="attaching", events=""
        )
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._run_clock, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self._over.set()
        self._progress.stop()

    def attached(self) -> None:
        """Start the clock."""
        self._progress.start_task(self._task)
        self._progress.update(self._task, state="tracing")
        self._clock.start()

    def counted(self, events: int) -> None:
        """Show how many events there were."""
        self._progress.update(self._task, events=f"{events} events")

    def ending(self) -> None:
        """Say that the window is over."""
        self._over.set()
        self._progress.update(self._task, state="reading maps")

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar away until the end of the block."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def _run_clock(self) -> None:
        while not self._over.wait(_REDRAW_SECONDS):
            elapsed = self._progress.tasks[0].elapsed
            if self._total is not None and elapsed is not None:
                self._progress.update(self._task, completed=min(elapsed, self._total))
