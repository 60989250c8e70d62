"""A load that reads, so often and so much as its name says: `python -m tests.laboratory.reader NAME PATH`.

It sleeps until it is asked, as those of `load.py` do; `python -m tests.laboratory.reader ask PATH…` asks several, one
after the other. Asked for `reads`, it answers how long each of its reads took by its own clock, in nanoseconds.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.laboratory import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SMALL_READS, SMALL_BYTES, ENDS = 2_000, 64, 5
LARGE_READS, LARGE_BYTES = 300, 1 << 20
PIPE_READS, PIPE_BYTES = 100, 10
PIPE_DELAYS_MS = (2, 3, 5, 8, 20)
FAILURES = 50
BLOCKED, ROUNDS = 30, 2

_LARGE = Path("/dev/shm")  # a file system in memory: nothing but the page cache is read


def _timed(read: Callable[[], int | None]) -> tuple[int, int]:
    """Return how long a read took, and the bytes that it returned."""
    begun = time.monotonic_ns()
    got = read()
    return time.monotonic_ns() - begun, got or 0


def _small(folder: Path) -> list[int]:
    """Read a small file over and over, and at its end a few times."""
    path = folder / "small"
    path.write_bytes(bytes(SMALL_BYTES))
    buffer = bytearray(SMALL_BYTES)
    taken = []
    with path.open("rb", buffering=0) as file:
        for _ in range(SMALL_READS):
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            time_ns, got = _timed(lambda: file.readinto(buffer))
            assert got == SMALL_BYTES
            taken.append(time_ns)
        for _ in range(ENDS):
            time_ns, got = _timed(lambda: file.readinto(buffer))
            assert got == 0
            taken.append(time_ns)
    return taken


def _large(_folder: Path) -> list[int]:
    """Read a megabyte from memory, over and over."""
    path = _LARGE / f"reader-{os.getpid()}"
    path.write_bytes(bytes(LARGE_BYTES))
    buffer = bytearray(LARGE_BYTES)
    taken = []
    with path.open("rb", buffering=0) as file:
        path.unlink()
        for _ in range(LARGE_READS):
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            time_ns, got = _timed(lambda: file.readinto(buffer))
            assert got == LARGE_BYTES
            taken.append(time_ns)
    return taken


def _pipe(_folder: Path) -> list[int]:
    """Read from a pipe that another process writes to, some milliseconds after it was asked."""
    asking, asked = os.pipe(), os.pipe()
    writer = os.fork()
    if writer == 0:
        for number in range(PIPE_READS):
            os.read(asking[0], 1)
            time.sleep(PIPE_DELAYS_MS[number % len(PIPE_DELAYS_MS)] / 1000)
            os.write(asked[1], bytes(PIPE_BYTES))
        os._exit(0)
    taken = []
    for _ in range(PIPE_READS):
        os.write(asking[1], b"x")
        time_ns, got = _timed(lambda: len(os.read(asked[0], 100)))
        assert got == PIPE_BYTES
        taken.append(time_ns)
    # The writer is not waited for: the kernel would then count its reads as ours.
    return taken


def _failing(_folder: Path) -> list[int]:
    """Read from a pipe that has nothing, and does not block."""
    reading, _writing = os.pipe2(os.O_NONBLOCK)
    taken = []
    for _ in range(FAILURES):
        begun = time.monotonic_ns()
        try:
            os.read(reading, 1)
        except BlockingIOError:
            taken.append(time.monotonic_ns() - begun)
    return taken


def _blocked(_folder: Path) -> list[int]:
    """Read in many threads at the same time, each from a pipe of its own that is written a second later; and again."""
    pipes = [os.pipe() for _ in range(BLOCKED)]
    taken: list[int] = []

    def wait(number: int, descriptor: int) -> None:
        load.rename(f"{('even', 'odd')[number % 2]}-{number}")
        taken.extend(_timed(lambda: len(os.read(descriptor, 1)))[0] for _ in range(ROUNDS))

    threads = [
        threading.Thread(target=wait, args=(number, reading)) for number, (reading, _) in enumerate(pipes)
    ]
    for thread in threads:
        thread.start()
    for _ in range(ROUNDS):
        time.sleep(1)
        for _, writing in pipes:
            os.write(writing, b"x")
    for thread in threads:
        thread.join()
    return taken


KINDS: dict[str, Callable[[Path], Sequence[int]]] = {
    "reader-small": _small,
    "reader-large": _large,
    "reader-pipe": _pipe,
    "reader-failing": _failing,
    "reader-blocked": _blocked,
    "bystander": _small,
}
"""By the name of the process."""


def main() -> None:
    """Serve, or ask."""
    if sys.argv[1] == "ask":
        print(json.dumps([load.ask("reads", path)[0] for path in sys.argv[2:]]), flush=True)
        # The window ends with this process: those that answered have gone to sleep by then.
        time.sleep(0.3)
        return
    name, path = sys.argv[1:]
    load.WORK["reads"] = lambda: KINDS[name](Path(path).parent)
    load.serve(name, path)


if __name__ == "__main__":
    main()
