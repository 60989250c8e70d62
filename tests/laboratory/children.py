"""Child processes that never outlive us, whatever ends us."""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def child(
    argv: Sequence[str | os.PathLike[str]], *, end: signal.Signals = signal.SIGTERM, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside us, until the end of the block or of our own life.

    :param end: How it is ended; SIGKILL follows after 5 s.
    """
    with subprocess.Popen(argv, preexec_fn=_die_with_parent, **options) as process:  # noqa: PLW1509
        try:
            yield process
        finally:
            process.send_signal(end)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def command_lines() -> list[bytes]:
    """Return those of all processes that there are, their words followed by a zero byte."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        # It may end meanwhile.
        with contextlib.suppress(OSError):
            found.append(path.read_bytes())
    return found


def end_bpftrace(process: subprocess.Popen[bytes], limit_seconds: float = 60) -> bytes:
    """Have a bpftrace that nobody drives print its maps and end; return what it printed into a pipe.

    0.17 forgets a SIGINT that comes while it handles a wake-up of its own: what interrupts its waiting (a stop
    and a continuation) makes it look again.

    :raises subprocess.TimeoutExpired: It does not end.
    """
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + limit_seconds
    while True:
        try:
            output, _ = process.communicate(timeout=2)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise
            process.send_signal(signal.SIGSTOP)
            process.send_signal(signal.SIGCONT)
        else:
            return output
