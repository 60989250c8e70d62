"""Child processes that never outlive us, whatever ends us."""

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextlib.contextmanager
def child(argv: Sequence[str | os.PathLike[str]], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside us; SIGTERM, then SIGKILL, at the end of the block or of our own life."""
    process = subprocess.Popen(argv, preexec_fn=_die_with_parent, **options)  # noqa: PLW1509
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
