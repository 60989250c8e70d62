"""The password that sudo asks for: from the terminal or a descriptor, never from argv or environment."""

from __future__ import annotations

import os
import signal
from getpass import getpass
from typing import TYPE_CHECKING

from runner.errors import HostRefused, Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_BYTES = 4096


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
    :raises Interrupted: Ctrl-C.
    """
    # The run's own handler only notes a signal; here Ctrl-C must end the waiting.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with open("/dev/tty"):  # noqa: PTH123
            return getpass("[sudo] password: ")
    except OSError as error:
        raise HostRefused(
            "sudo asks for a password, and there is no terminal to ask on",
            hint="--sudo-password-fd N, or a NOPASSWD rule for bpftrace",
        ) from error
    except (KeyboardInterrupt, EOFError) as error:
        raise Interrupted("no password was given: nothing was measured") from error
    finally:
        signal.signal(signal.SIGINT, previous)


def _first_line(descriptor: int) -> str:
    data = b""
    try:
        while b"\n" not in data and len(data) < _MOST_BYTES and (more := os.read(descriptor, 1)):
            data += more
    except OSError as error:
        raise HostRefused(f"--sudo-password-fd {descriptor}: {error.strerror}") from error
    return data.partition(b"\n")[0].decode(errors="surrogateescape")
