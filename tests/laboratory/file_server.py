"""A service that reads files, most of them on a fast disk and one on another. Run as a program.

usage: python -m tests.laboratory.file_server SLOW_FILE FAST_FILES THREADS SLOW_EVERY PAUSE_MS DESCRIPTOR

Each thread reads 4 KiB somewhere in one of the fast files (a folder's), past the page cache, over and over; every so
manieth read is of the other file. How long each took is written to the journal of that descriptor.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.laboratory.cgroups import inside
from tests.laboratory.children import child
from tests.laboratory.journal import Journal
from tests.laboratory.load import rename

if TYPE_CHECKING:
    from collections.abc import Iterator

FAST, SLOW = "fast", "slow"
KINDS = (FAST, SLOW)
NAME = "file-server"
THREADS = 4

_SLOW_EVERY = 25
_PAUSE_MS = 2
_BLOCK = 4096
_FAST_FILES = 8
_MIB = 1 << 20


def main() -> None:
    """Read until the process is ended."""
    slow, fast, threads, every, pause, descriptor = sys.argv[1:]
    rename(NAME)
    journal = Journal(KINDS, int(descriptor))
    opened = [os.open(path, os.O_RDONLY | os.O_DIRECT) for path in sorted(Path(fast).iterdir())]
    other = os.open(slow, os.O_RDONLY | os.O_DIRECT)

    def read_on(number: int) -> None:
        chance = random.Random(number)  # noqa: S311
        # Of its own page: direct I/O wants it aligned.
        buffer = mmap.mmap(-1, _BLOCK)
        turn = number
        while True:
            turn += 1
            kind = SLOW if turn % int(every) == 0 else FAST
            file = other if kind == SLOW else chance.choice(opened)
            place = chance.randrange(os.fstat(file).st_size // _BLOCK) * _BLOCK
            begun = time.monotonic_ns()
            got = os.preadv(file, [buffer], place)
            journal.write(kind, begun)
            assert got == _BLOCK
            time.sleep(int(pause) / 1000)

    readers = [threading.Thread(target=read_on, args=(number,)) for number in range(int(threads))]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()


def make_files(folder: Path) -> None:
    """Make the fast files, written to the disk: what is not there yet is not read from it."""
    folder.mkdir()
    for number in range(_FAST_FILES):
        make_file(folder / f"page-{number}", _MIB)


def make_file(path: Path, size: int) -> None:
    """Make a file of so many bytes without holes, and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(os.urandom(size))
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def file_server(slow: Path, fast: Path, *, group: Path | None = None) -> Iterator[tuple[int, Journal]]:
    """Run such a service until the end of the block; return its process id and its journal.

    :param group: The cgroup that it runs in.
    """
    with contextlib.closing(Journal(KINDS)) as journal:
        words = [slow, fast, THREADS, _SLOW_EVERY, _PAUSE_MS, journal.descriptor]
        argv = [sys.executable, "-m", "tests.laboratory.file_server", *map(str, words)]
        if group is not None:
            argv = inside(group, argv)
        with child(argv, pass_fds=[journal.descriptor]) as process:
            yield process.pid, journal


if __name__ == "__main__":
    main()
