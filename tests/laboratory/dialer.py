"""Opens TCP connections as a plan says, and measures each: `python -m tests.laboratory.dialer NAME PLAN OUT`.

The plan is JSON; what it does not name is not done:

- `address`, `port`: of a server. `blocking`, `nonblocking`, `threaded`: so many connections to it, one after the
  other; the last by a thread called `thread-NAME`.
- `spread_us`: before each blocking or nonblocking connection it sleeps, up to so many microseconds, evenly spread; and
  it ends each with a reset, so that the server sends nothing but the answers to its SYNs.
- `refused_port`, `refused`: attempts at a port where nobody listens.
- `silent_port`, `given_up`, `timed_out`: attempts at a port that never answers, closed after a moment or ended by
  the kernel.
- `pending`: one attempt at the silent port that stays; `ready` is printed then, and a line on stdin ends it.
- `unix`, `unix_path`: connections to a Unix socket.

OUT gets JSON: the process's id, and how long each blocking or nonblocking connect() took, in nanoseconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.laboratory.load import rename

if TYPE_CHECKING:
    from collections.abc import Iterator

_GIVE_UP_SECONDS = 0.1
# One retransmission: the kernel gives up after 1 + 2 s.
_SYN_RETRANSMISSIONS = 1
_RESET = struct.pack("@ii", 1, 0)
# All of 0 to 99, in an order without a trend.
_STEP, _STEPS = 37, 100


class Dialer:
    """Opens connections to one address."""

    def __init__(self, address: str, spread_us: int) -> None:
        self._address = address
        self._spread_us = spread_us
        self._turn = 0
        self._family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def _socket(self) -> socket.socket:
        return socket.socket(self._family)

    @contextlib.contextmanager
    def _measured(self) -> Iterator[socket.socket]:
        """Sleep, and end the connection with a reset, where that was asked for."""
        with self._socket() as one:
            if self._spread_us:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                self._turn = (self._turn + _STEP) % _STEPS
                time.sleep(self._spread_us * self._turn / _STEPS / 1e6)
            yield one

    def blocking(self, port: int) -> int:
        """Connect and close; return the nanoseconds that connect() took."""
        with self._measured() as one:
            target = (self._address, port)
            before = time.monotonic_ns()
            one.connect(target)
            return time.monotonic_ns() - before

    def nonblocking(self, port: int) -> int:
        """Connect without waiting, then wait; return the nanoseconds until the connection was there."""
        with self._measured() as one:
            one.setblocking(False)
            waiting = select.poll()
            waiting.register(one, select.POLLOUT)
            before = time.monotonic_ns()
            with contextlib.suppress(BlockingIOError):
                one.connect((self._address, port))
            waiting.poll()
            taken = time.monotonic_ns() - before
            assert one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            return taken

    def refused(self, port: int) -> None:
        """Connect where nobody listens."""
        with self._socket() as one, contextlib.suppress(ConnectionRefusedError):
            one.connect((self._address, port))
            raise AssertionError("somebody listens there")

    def given_up(self, port: int) -> None:
        """Connect where nobody answers, and stop waiting."""
        with self._socket() as one, contextlib.suppress(TimeoutError):
            one.settimeout(_GIVE_UP_SECONDS)
            one.connect((self._address, port))
            raise AssertionError("somebody answered")

    def timed_out(self, port: int) -> None:
        """Connect where nobody answers, until the kernel stops waiting."""
        with self._socket() as one, contextlib.suppress(TimeoutError):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, _SYN_RETRANSMISSIONS)
            one.connect((self._address, port))
            raise AssertionError("somebody answered")

    @contextlib.contextmanager
    def pending(self, port: int) -> Iterator[None]:
        """Begin to connect where nobody answers yet."""
        with self._socket() as one:
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect((self._address, port))
            yield


def _threaded(name: str, dialer: Dialer, port: int, times: int) -> None:
    def dial() -> None:
        rename(f"thread-{name}")
        for _ in range(times):
            dialer.blocking(port)

    thread = threading.Thread(target=dial)
    thread.start()
    thread.join()


def _dial_unix(path: str, times: int) -> None:
    for _ in range(times):
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(path)


def main() -> None:
    """Do what the plan says, in its order."""
    name, text, out = sys.argv[1:]
    plan = json.loads(text)
    rename(name)
    dialer = Dialer(plan["address"], plan.get("spread_us", 0))
    # What it measures is not how long it waits for a processor.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    port, silent = plan.get("port", 0), plan.get("silent_port", 0)
    if plan.get("pending"):
        with dialer.pending(silent):
            print("ready", flush=True)
            sys.stdin.readline()
    taken = [dialer.blocking(port) for _ in range(plan.get("blocking", 0))]
    taken += [dialer.nonblocking(port) for _ in range(plan.get("nonblocking", 0))]
    _threaded(name, dialer, port, plan.get("threaded", 0))
    for _ in range(plan.get("refused", 0)):
        dialer.refused(plan["refused_port"])
    for _ in range(plan.get("given_up", 0)):
        dialer.given_up(silent)
    for _ in range(plan.get("timed_out", 0)):
        dialer.timed_out(silent)
    _dial_unix(plan.get("unix_path", ""), plan.get("unix", 0))
    # What still lies in a listening socket's queue is accepted in this time.
    time.sleep(0.2)
    Path(out).write_text(json.dumps({"pid": os.getpid(), "nanoseconds": taken}))


if __name__ == "__main__":
    main()
