"""Opens connections in bursts, which its own server accepts a little later. Run as a program.

usage: python -m tests.laboratory.connection_bursts

Both sides are one thread, so that nothing is accepted while a burst arrives: what finds the queue of the listening
socket full is dropped, and sent again a second later, when no burst is. It ends at a time that is fixed, when all are
established, and says how many.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import time

from tests.laboratory import work
from tests.laboratory.load import rename

NAME = "bursts"
BURSTS = 10
BURST = 16
CONNECTIONS = BURSTS * BURST

# All bursts come within the second after which the first is sent again. Between two of them, and between two that are
# sent again, the server accepts more than once.
_TURN_SECONDS = 0.02
_TURNS_OF_BURST = 5
_TURNS = 105
_LONGEST_QUEUE = 65_535


def main() -> None:
    """Open, accept, and say how many."""
    rename(NAME)
    # What is sent again is sent in an interrupt, on the processor where it was sent first. Some kernels run no program
    # while process 1 is interrupted: here it interrupts this thread, which never sleeps.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    opened: list[socket.socket] = []
    accepted: list[socket.socket] = []
    with socket.socket() as listener:
        listener.setblocking(False)
        listener.bind(("127.0.0.1", 0))
        # It is as long as net.core.somaxconn says now, and stays so.
        listener.listen(_LONGEST_QUEUE)
        begun = time.monotonic()
        for turn in range(_TURNS):
            while time.monotonic() < begun + turn * _TURN_SECONDS:
                pass
            accepted += _accepted_by(listener)
            if turn % _TURNS_OF_BURST == 0 and len(opened) < CONNECTIONS:
                opened += [_opened_to(listener) for _ in range(BURST)]
        if len(accepted) < CONNECTIONS:
            sys.exit(f"only {len(accepted)} of {CONNECTIONS} connections came in time")
    for one in (*opened, *accepted):
        one.close()
    work.say(len(accepted), "connections")


def _opened_to(listener: socket.socket) -> socket.socket:
    one = socket.socket()
    one.setblocking(False)
    # Closed by a reset: of 160 connections that close in turn the kernel leaves out some changes of state.
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.connect_ex(listener.getsockname())
    return one


def _accepted_by(listener: socket.socket) -> list[socket.socket]:
    found = []
    while select.select([listener], [], [], 0)[0]:
        found.append(listener.accept()[0])
    return found


if __name__ == "__main__":
    main()
