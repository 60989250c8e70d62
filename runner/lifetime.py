"""Children that do not outlive this process, however it ends."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> Callable[[], None]:
    """Return what a child calls before its exec: it is sent a signal when the thread that made it ends.

    The kernel forgets it (prctl(2), PR_SET_PDEATHSIG) where the child executes a setuid program.
    """
    parent = os.getpid()

    def before_exec() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:
            os._exit(128 + number)  # it ended between the fork and the call above

    return before_exec
