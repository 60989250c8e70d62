"""A client with little patience: asks an HTTP server over and over, each time on a new connection. Run as a program.

usage: python -m tests.laboratory.requester ADDRESS PORT PATH CONNECTIONS PAUSE_MS TIMEOUT_MS DESCRIPTOR

So many threads ask, pause, and ask again, each for the path with its number in the place of `{}`; what takes longer than the timeout is given up. How long each request took,
from connect() to the end of the answer or until it was given up, is written to the journal of that descriptor.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

from tests.laboratory.children import child
from tests.laboratory.journal import Journal
from tests.laboratory.load import rename

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.laboratory.network import Host

ANSWERED, GIVEN_UP, FAILED = "answered", "given up", "failed"
KINDS = (ANSWERED, GIVEN_UP, FAILED)
NAME = "api-client"


def _ask(address: str, port: int, path: str, timeout_seconds: float) -> None:
    """Fetch a path.

    :raises TimeoutError: The whole took too long.
    :raises ConnectionError: The connection failed, or the answer is not a whole one that says 200.
    """
    deadline = time.monotonic() + timeout_seconds

    def left() -> float:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        return remaining

    with socket.create_connection((address, port), timeout=left()) as connection:
        lines = (f"GET {path} HTTP/1.1", f"Host: {address}", "Accept-Encoding: gzip", "Connection: close")
        connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        answer = bytearray()
        while True:
            connection.settimeout(left())
            part = connection.recv(1 << 16)
            if not part:
                break
            answer += part
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(bytes(answer[:40]))


def main() -> None:
    """Ask until the process is ended."""
    address, port, path, connections, pause, timeout, descriptor = sys.argv[1:]
    rename(NAME)
    journal = Journal(KINDS, int(descriptor))

    def ask_on(number: int) -> None:
        while True:
            begun = time.monotonic_ns()
            try:
                _ask(address, int(port), path.format(number), int(timeout) / 1000)
            except TimeoutError:
                journal.write(GIVEN_UP, begun)
            except ConnectionError:
                journal.write(FAILED, begun)
            else:
                journal.write(ANSWERED, begun)
            time.sleep(int(pause) / 1000)

    threads = [threading.Thread(target=ask_on, args=(number,)) for number in range(int(connections))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextlib.contextmanager
def requester(
    client: Host,
    address: str,
    port: int,
    path: str,
    *,
    connections: int,
    pause_ms: int,
    timeout_ms: int,
    cpu: int | None = None,
) -> Iterator[Journal]:
    """Run such a client on a host until the end of the block.

    :param cpu: The only processor that it may use.
    """
    with contextlib.closing(Journal(KINDS)) as journal:
        words = [address, port, path, connections, pause_ms, timeout_ms, journal.descriptor]
        argv = [sys.executable, "-m", "tests.laboratory.requester", *map(str, words)]
        if cpu is not None:
            argv = ["taskset", "--cpu-list", str(cpu), *argv]
        with child(client.command(argv), pass_fds=[journal.descriptor]):
            yield journal


if __name__ == "__main__":
    main()
