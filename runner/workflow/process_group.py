"""A process with all that it starts: signalled together, and killed where it does not end in time."""

from __future__ import annotations

import contextlib
import os
import signal
import threading

GRACE_SECONDS = 10.0
"""So long may a command that was asked to end take to put away what it holds."""


class ProcessGroup:
    """The processes of a group, whose leader has not been waited for yet.

    :param leader: Its process id.
    :param grace_seconds: After the first signal, until SIGKILL; None never kills.
    """

    def __init__(self, leader: int, grace_seconds: float | None = GRACE_SECONDS) -> None:
        self._leader = leader
        self._grace_seconds = grace_seconds
        self._killer: threading.Timer | None = None
        self._is_over = False

    def send(self, name: str) -> None:
        """Send a signal to all of them; may be called inside a signal handler.

        :param name: `SIGINT`, `SIGTERM` …
        """
        self._signal(signal.Signals[name])
        if self._grace_seconds is not None and self._killer is None:
            self._killer = threading.Timer(self._grace_seconds, self._signal, [signal.SIGKILL])
            self._killer.daemon = True
            self._killer.start()

    def forget(self) -> None:
        """Signal nobody any more: the leader is about to be waited for, and its id may soon be another's.

        What outlives a leader that was asked to end is killed.
        """
        if self._killer is not None:
            self._killer.cancel()
            self._signal(signal.SIGKILL)
        self._is_over = True

    def _signal(self, number: signal.Signals) -> None:
        if not self._is_over:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._leader, number)
