"""The password that sudo asks for: from the terminal or a descriptor, never from argv or environment."""

from __future__ import annotations

import os
import signal
from getpass import getpass
from typing import TYPE_CHECKING

from runner.errors import HostRefused, Interrupted, Terminated
from runner.interrupts import WATCHED

if TYPE_CHECKING:
    import types
    from collections.abc import Callable

_MOST_BYTES = 4096
_NOTHING = "no password was given: nothing was measured"


def from_descriptor(descriptor: int) -> Callable[[], str]:
    """Return what reads the password, one line, from a descriptor; asked again, it refuses."""
    lines = [_first_line(descriptor)]

    def ask() -> str:
        if not lines:
            raise HostRefused("sudo did not accept the password")
        return lines.pop()

    return ask


def from_terminal() -> str:
    """Ask on the terminal, without echo.

    :raises HostRefused: There is none.
    :raises Interrupted, Terminated: A signal, or the end of input.
    """
    # The run's own handlers only note a signal; here it must end the waiting.
    previous = {number: signal.signal(number, _give_up) for number in WATCHED}
    try:
        with open("/dev/tty"):  # noqa: PTH123
            return getpass("[sudo] password: ")
    except OSError as error:
        raise HostRefused(
            "sudo asks for a password, and there is no terminal to ask on",
            hint="--sudo-password-fd N, or a NOPASSWD rule for bpftrace",
        ) from error
    except EOFError as error:
        raise Interrupted(_NOTHING) from error
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Remembered:
    """Asks once, and answers the same when sudo asks in a later run."""

    def __init__(self, ask: Callable[[], str]) -> None:
        """Know nothing yet."""
        self._ask = ask
        self._password: str | None = None

    def for_one_run(self) -> Callable[[], str]:
        """Return what answers in one run: there, who is asked again gave a wrong one."""
        known = [] if self._password is None else [self._password]

        def ask() -> str:
            self._password = known.pop() if known else self._ask()
            return self._password

        return ask


def _give_up(number: int, _frame: types.FrameType | None) -> None:
    raise (Terminated if number == signal.SIGTERM else Interrupted)(_NOTHING)


def _first_line(descriptor: int) -> str:
    data = b""
    try:
        while b"\n" not in data and len(data) < _MOST_BYTES and (more := os.read(descriptor, 1)):
            data += more
    except OSError as error:
        raise HostRefused(f"--sudo-password-fd {descriptor}: {error.strerror}") from error
    return data.partition(b"\n")[0].decode(errors="surrogateescape")
