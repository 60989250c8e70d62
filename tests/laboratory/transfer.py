"""Moves known numbers of bytes over TCP, in many ways. Run as a program, the server first.

usage: python -m tests.laboratory.transfer serve|fetch NAME ADDRESS PORT OUT

There are three connections: one that asks and answers with each call that sends or receives, and looks (MSG_PEEK)
before it receives; one whose answer is read when both sides have closed it; one that the server reads by splice().
Both sides end then, and OUT gets JSON: the process's id; by the client's port the bytes that the process sent and
received by its own count, what it spliced, and what the kernel says (TCP_INFO) where neither side has closed.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.laboratory.load import rename
from tests.laboratory.tcp_info import tcp_info

_CHUNKS = (1, 1_000, 65_536, 100_003, 31, 262_144)
_ASKED = _ANSWERED = sum(_CHUNKS)
_FILE_BYTES = 1_000_001
_LATE_BYTES = 20_011
_SPLICED_BYTES = 50_021


class Count:
    """What one side of a connection counted."""

    def __init__(self, connection: socket.socket) -> None:
        self.sent = 0
        self.received = 0
        self.spliced = 0
        self.kernel: tuple[int, int] | None = None
        self._arrived = 0
        self._connection = connection

    def send(self, bytes_: int) -> None:
        """Send so many, with another call each time."""
        data = memoryview(bytes(bytes_))
        calls = (
            self._connection.send,
            lambda rest: os.write(self._connection.fileno(), rest),
            lambda rest: self._connection.sendmsg([rest[:7], rest[7:]]),
        )
        turn = 0
        while data:
            taken = calls[turn % len(calls)](data)
            self.sent += taken
            data = data[taken:]
            turn += 1

    def receive(self, bytes_: int) -> None:
        """Receive so many, with another call each time; look at each first."""
        calls = (
            self._connection.recv,
            lambda most: os.read(self._connection.fileno(), most),
            lambda most: self._connection.recvmsg(most)[0],
            lambda most: self._connection.recv(min(most, 3_000), socket.MSG_WAITALL),
        )
        turn = 0
        while bytes_:
            self._connection.recv(min(bytes_, 500), socket.MSG_PEEK)
            got = len(calls[turn % len(calls)](min(bytes_, 70_000)))
            assert got, "the other side closed"
            self.received += got
            bytes_ -= got
            turn += 1
        # Now, for the other side's end is a byte too.
        self._arrived = tcp_info(self._connection).received_bytes

    def send_file(self, bytes_: int) -> None:
        """Send a file by sendfile()."""
        with tempfile.TemporaryFile() as file:
            file.truncate(bytes_)
            offset = 0
            while offset < bytes_:
                taken = os.sendfile(self._connection.fileno(), file.fileno(), offset, bytes_ - offset)
                self.sent += taken
                offset += taken

    def splice(self, bytes_: int) -> None:
        """Receive so many by splice()."""
        reading, writing = os.pipe()
        while bytes_:
            got = os.splice(self._connection.fileno(), writing, min(bytes_, 4096))
            os.read(reading, got)
            self.spliced += got
            bytes_ -= got

    def ask_kernel(self) -> None:
        """Keep what the kernel says of the bytes sent so far, and what it said of those received."""
        self.kernel = tcp_info(self._connection).accepted_bytes, self._arrived

    def as_json(self) -> dict[str, Any]:
        """Return the counts."""
        return {
            "sent": self.sent, "received": self.received, "spliced": self.spliced, "kernel": self.kernel,
        }  # fmt: skip


def _serve(address: str, port: int, family: socket.AddressFamily) -> dict[int, Any]:
    found = {}
    with socket.create_server((address, port), family=family) as listener:
        print("listening", flush=True)
        for number in range(3):
            connection, peer = listener.accept()
            with connection:
                count = Count(connection)
                if number == 0:
                    count.receive(_ASKED)
                    count.send_file(_FILE_BYTES)
                    for chunk in _CHUNKS:
                        count.send(chunk)
                    count.ask_kernel()
                    connection.recv(1)  # the end
                elif number == 1:
                    connection.recv(1)
                    count.send(_LATE_BYTES)
                else:
                    count.splice(_SPLICED_BYTES)
                found[peer[1]] = count.as_json()
    return found


def _fetch(address: str, port: int) -> dict[int, Any]:
    found = {}
    for number in range(3):
        with socket.create_connection((address, port)) as connection:
            count = Count(connection)
            if number == 0:
                for chunk in _CHUNKS:
                    count.send(chunk)
                count.receive(_FILE_BYTES + _ANSWERED)
                count.ask_kernel()
            elif number == 1:
                connection.shutdown(socket.SHUT_WR)
                # Both sides have closed then, and the kernel has let go of the local port.
                time.sleep(0.3)
                count.receive(_LATE_BYTES)
            else:
                count.send(_SPLICED_BYTES)
            found[connection.getsockname()[1]] = count.as_json()
    return found


def main() -> None:
    """Serve, or fetch."""
    role, name, address, port, out = sys.argv[1:]
    rename(name)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    counts = _serve(address, int(port), family) if role == "serve" else _fetch(address, int(port))
    Path(out).write_text(json.dumps({"pid": os.getpid(), "connections": counts}))


if __name__ == "__main__":
    main()
