"""A load that waits for what it is asked to wait for: `python -m tests.laboratory.waits NAME PATH` serves as `load.py` does.

Most answers are how long each wait took by its own clock, in nanoseconds.
"""

from __future__ import annotations

import mmap
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.laboratory import load

if TYPE_CHECKING:
    from collections.abc import Callable

_BLOCK = 4096


def _times(times: str, wait: Callable[[], object]) -> list[int]:
    taken = []
    for _ in range(int(times)):
        before = time.monotonic_ns()
        wait()
        taken.append(time.monotonic_ns() - before)
    return taken


def _locks(times: str, milliseconds: str) -> list[int]:
    """Wait for a lock that nobody gives back, so long."""
    lock = threading.Lock()
    lock.acquire()
    return _times(times, lambda: lock.acquire(timeout=int(milliseconds) / 1000))


def _answers(times: str, milliseconds: str) -> list[int]:
    """Wait for the answers of another process, which gives each so long after it was asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if os.fork() == 0:
            load.rename("answering")
            with socket.create_connection(listener.getsockname()) as own:
                while own.recv(1):
                    time.sleep(int(milliseconds) / 1000)
                    own.send(b"x")
            os._exit(0)
        with listener.accept()[0] as connection:

            def ask() -> None:
                connection.send(b"x")
                connection.recv(1)

            taken = _times(times, ask)
        os.wait()
    return taken


def _pipes(times: str, milliseconds: str) -> list[int]:
    """Wait for bytes in a pipe that another process writes, one after each such time."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        load.rename("writing")
        for _ in range(int(times)):
            time.sleep(int(milliseconds) / 1000)
            os.write(writing, b"x")
        os._exit(0)
    taken = _times(times, lambda: os.read(reading, 1))
    os.wait()
    return taken


def _direct(path: str, times: str) -> list[int]:
    """Read blocks of a disk past the page cache, one after the other."""
    buffer = mmap.mmap(-1, _BLOCK)  # of whole pages, as direct I/O needs them
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
    offsets = iter(range(0, int(times) * _BLOCK, _BLOCK))
    taken = _times(times, lambda: os.preadv(descriptor, [buffer], next(offsets)))
    os.close(descriptor)
    return taken


def _awake_ns() -> int:
    """Return how long this thread ran, or waited to run, until now; what a hypervisor took is in neither."""
    # The first number of that file is of the last tick where the thread runs; the clock is of now.
    waited = int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    return time.thread_time_ns() + waited


def _syncs(path: str, times: str) -> int:
    """Write a little to the end of a file and wait until the disk has it, so often.

    Return how long it was neither running nor waiting to run meanwhile.
    """
    begun, awake = time.monotonic_ns(), _awake_ns()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(int(times)):
        os.write(descriptor, bytes(_BLOCK))
        os.fsync(descriptor)
    os.close(descriptor)
    awake = _awake_ns() - awake
    return time.monotonic_ns() - begun - awake


def _writes(path: str, mebibytes: str, seconds: str) -> int:
    """Write much to a file at a time, until so much wall time has passed: the kernel holds its lock meanwhile.

    Return how long it was neither running nor waiting to run meanwhile.
    """
    begun, awake = time.monotonic_ns(), _awake_ns()
    content = bytes(int(mebibytes) << 20)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    while time.monotonic_ns() - begun < float(seconds) * 1e9:
        os.pwrite(descriptor, content, 0)
    os.close(descriptor)
    awake = _awake_ns() - awake
    return time.monotonic_ns() - begun - awake


def _lives(times: str) -> list[int]:
    """Have a process live so often, which computes, sleeps and waits for a lock; return how long each lived."""

    def live() -> None:
        if os.fork() == 0:
            end = time.monotonic() + 0.02
            while time.monotonic() < end:
                pass
            time.sleep(0.03)
            _locks("1", "10")
            os._exit(0)
        os.wait()

    return _times(times, live)


def _renames(name: str, seconds: str) -> float:
    """Have a thread that gets a name late, when it has slept for so long, and then sleeps as long again."""

    def late() -> None:
        time.sleep(float(seconds))
        load.rename(name)
        time.sleep(float(seconds))

    thread = threading.Thread(target=late)
    thread.start()
    thread.join()
    return float(seconds)


def _asked() -> int:
    """Return when this was asked: nanoseconds since the epoch."""
    return time.time_ns()


WORK: dict[str, Callable[..., Any]] = {
    "locks": _locks,
    "answers": _answers,
    "pipes": _pipes,
    "direct": _direct,
    "syncs": _syncs,
    "writes": _writes,
    "lives": _lives,
    "renames": _renames,
    "asked": _asked,
}


def main() -> None:
    """Serve."""
    load.WORK.update(WORK)
    load.serve(*sys.argv[1:])


if __name__ == "__main__":
    main()
