"""SIGINT, SIGTERM, SIGHUP and SIGQUIT as the end of a window instead of the end of the program."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Self

from runner.errors import Interrupted, Terminated

if TYPE_CHECKING:
    import types
    from collections.abc import Callable

LONGEST_WAIT_SECONDS = 0.5
"""Who waits in a system call looks up as often: a signal that comes right before it does not end it, and
Python's own handlers run after it."""

WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Interrupts:
    """Hand signals, by their names, to whoever waits; a signal that comes before is kept for them."""

    def __init__(self) -> None:
        """Watch nothing yet; the context does."""
        self._wake: Callable[[str], None] | None = None
        self._early: list[str] = []
        self._when = ""
        self._previous: dict[signal.Signals, Any] = {}
        self.first: str | None = None
        """The first signal that came."""

    def __enter__(self) -> Self:
        for number in WATCHED:
            self._previous[number] = signal.signal(number, self._catch)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def wake_up(self, wake: Callable[[str], None]) -> None:
        """Hand all signals to a function; it is called inside the signal handler."""
        self._wake = wake
        while self._early:
            wake(self._early.pop(0))

    def raise_from_now_on(self, when: str = "while the result was being written") -> None:
        """Raise the first signal that comes from now on; those after it are ignored, as are those before.

        What catches the exception has the time to put away what it holds.

        :param when: What the message says of the moment.
        """
        self._when = when
        self._early.clear()
        self._wake = self._raise

    def keep_from_now_on(self) -> None:
        """Keep signals for whoever waits next."""
        self._wake = None

    def _raise(self, reason: str) -> None:
        self._wake = self._ignore
        kind = Terminated if reason == "SIGTERM" else Interrupted
        raise kind(f"{reason} {self._when}")

    def _ignore(self, reason: str) -> None:
        pass

    def _catch(self, number: int, _frame: types.FrameType | None) -> None:
        name = signal.Signals(number).name
        self.first = self.first or name
        if self._wake is None:
            self._early.append(name)
        else:
            self._wake(name)
