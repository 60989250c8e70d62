"""Bounds on what a template may take to render: a recipe's takes milliseconds and some megabytes."""

from __future__ import annotations

import contextlib
import resource
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator

CPU_SECONDS = 5.0
MEMORY_BYTES = 200 << 20


class TooMuch(Exception):
    """A template takes too long."""


def _stop(number: int, frame: types.FrameType | None) -> None:
    del number, frame
    raise TooMuch(f"it takes more than {CPU_SECONDS:g} s of a processor")


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Bound CPU time and memory until the end of the block; time in the main thread alone, as signals are.

    :raises TooMuch: It took too long. MemoryError: it took too much.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = pages * resource.getpagesize() + MEMORY_BYTES
    limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([wanted, *limits]), hard))
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGVTALRM, _stop) if is_main else None
    try:
        if is_main:
            signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)
        yield
    finally:
        if is_main:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before or signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
