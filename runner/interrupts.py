"""SIGINT, SIGTERM, SIGHUP and SIGQUIT as the end of a window instead of the end of the program."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import types
    from collections.abc import Callable

_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Interrupts:
    """Hand signals, by their names, to whoever waits; a signal that comes before is kept for them."""

    def __init__(self) -> None:
        """Watch nothing yet; the context does."""
        self._wake: Callable[[str], None] | None = None
        self._early: list[str] = []
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in _WATCHED:
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

    def _catch(self, number: int, _frame: types.FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._wake is None:
            self._early.append(name)
        else:
            self._wake(name)
