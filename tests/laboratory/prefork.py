"""A server of several processes that accept from one socket, each counting what it accepts. Run as a program.

usage: python -m tests.laboratory.prefork NAME ADDRESS PORT PROCESSES PATH

Its parent accepts on a Unix socket at PATH; who writes a line there gets JSON: how often each process accepted,
by its id, and its own as `unix`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from tests.laboratory.children import child
from tests.laboratory.load import rename

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.laboratory.network import Host

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_CELL = struct.Struct("@Q")


def _accept(listener: socket.socket, place: int) -> socket.socket:
    """Accept by accept4(), or by accept() in every other process."""
    if place % 2:
        return listener.accept()[0]
    descriptor = _LIBC.accept(listener.fileno(), None, None)
    assert descriptor >= 0, "accept"
    return socket.socket(fileno=descriptor)


def _work(listener: socket.socket, counts: mmap.mmap, place: int) -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    while True:
        connection = _accept(listener, place)
        # Counted before its client can know that it ended.
        (count,) = _CELL.unpack_from(counts, place * _CELL.size)
        _CELL.pack_into(counts, place * _CELL.size, count + 1)
        connection.close()
        # The others get some too.
        time.sleep(0.002)


def _serve(path: str, counts: mmap.mmap, workers: list[int]) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(128)
        print("listening", flush=True)
        accepted = 0
        while True:
            connection, _ = listener.accept()
            accepted += 1
            with connection, connection.makefile("rw") as stream:
                if stream.readline():
                    each = {
                        pid: _CELL.unpack_from(counts, place * _CELL.size)[0]
                        for place, pid in enumerate(workers)
                    }
                    stream.write(json.dumps({"unix": accepted, "accepted": each}) + "\n")


def main() -> None:
    """Serve until the process is ended."""
    name, address, port, processes, path = sys.argv[1:]
    rename(name)
    counts = mmap.mmap(-1, mmap.PAGESIZE)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, int(port)), family=family, backlog=128) as listener:
        workers = []
        for place in range(int(processes)):
            pid = os.fork()
            if pid == 0:
                _work(listener, counts, place)
            workers.append(pid)
        _serve(path, counts, workers)


class Prefork:
    """A server that runs beside a test.

    :ivar pid: Of the parent.
    """

    def __init__(self, pid: int, path: Path) -> None:
        self.pid = pid
        self.path = path

    def ask(self) -> dict[str, Any]:
        """Return how often each process accepted, by its id, and how often the parent did so on its socket."""
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(str(self.path))
            with one.makefile("rw") as stream:
                stream.write("?\n")
                stream.flush()
                answer = json.loads(stream.readline())
        return {**answer, "accepted": {int(pid): count for pid, count in answer["accepted"].items()}}


@contextlib.contextmanager
def prefork(
    host: Host, name: str, address: str, port: int, processes: int, folder: Path
) -> Iterator[Prefork]:
    """Run such a server on a host until the end of the block."""
    path = folder / f"{name}.socket"
    words = [name, address, str(port), str(processes), str(path)]
    argv = host.command([sys.executable, "-m", "tests.laboratory.prefork", *words])
    with child(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n"
        yield Prefork(process.pid, path)
    path.unlink()


if __name__ == "__main__":
    main()
