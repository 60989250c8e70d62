"""One piece of work, done by a process of a known name that ends then: `python -m tests.laboratory.known_loads.once WORDS`.

The words are those that the loads of `load.py` and `waits.py` take, and these that need nobody else.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING, Any

from tests.laboratory import load, waits
from tests.laboratory.known_loads.known_load import NAME
from tests.laboratory.tcp_info import tcp_info
from tests.laboratory.until import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HOST = "127.0.0.1"
_LIMIT_SECONDS = 60

_SO_ATTACH_FILTER, _SO_DETACH_FILTER = 26, 27
"""include/uapi/asm-generic/socket.h"""
_RETURN = 0x06
"""BPF_RET | BPF_K of include/uapi/linux/bpf_common.h"""


def _compute(seconds: str) -> float:
    """Use so much time of a processor from now on, however long that takes; return how much it was."""
    begun = time.process_time()  # in an emulated guest, starting took seconds, under another name
    while (used := time.process_time() - begun) < float(seconds):
        pass
    return used


def _datagrams(times: str) -> int:
    """Send a datagram to itself and receive it, so often: no two are under way together."""
    with _udp() as receiver, _udp() as sender:
        for _ in range(int(times)):
            sender.sendto(b"x", receiver.getsockname())
            receiver.recv(1)
    return int(times)


def _unwanted(times: str) -> int:
    """Send datagrams to a port of this machine that nobody has open."""
    with _udp() as one:
        closed = one.getsockname()
    with _udp() as sender:
        for _ in range(int(times)):
            # Not connected: nobody tells it what came of the last one.
            sender.sendto(b"x", closed)
    return int(times)


def _connections(times: str) -> int:
    """Connect to itself, so often, and close the connection."""
    with socket.create_server((_HOST, 0), backlog=1) as listener:
        for _ in range(int(times)):
            with socket.create_connection(listener.getsockname()), listener.accept()[0]:
                pass
    return int(times)


def _transfers(times: str, bytes_: str) -> int:
    """Send so many bytes to itself, so often, and receive them; return the bytes."""
    data = bytes(int(bytes_))
    with _connection() as (one, other):
        for _ in range(int(times)):
            one.sendall(data)
            left = len(data)
            while left:
                left -= len(other.recv(left))
    return int(times) * len(data)


def _unheard(connections: str, times: str) -> int:
    """Send a byte on each connection that the other end throws away, until each was sent again so often at least.

    Return how often they were sent again, by the kernel's own count of each connection.
    """
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(_connection()) for _ in range(int(connections))]
        # One instruction: of each packet, keep nothing.
        code = ctypes.create_string_buffer(struct.pack("@HBBI", _RETURN, 0, 0, 0))
        program = struct.pack("@HP", 1, ctypes.addressof(code))
        for one, other in pairs:
            other.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
            one.send(b"x")
        until(
            lambda: all(tcp_info(one).retransmits >= int(times) for one, _ in pairs),
            "packets are sent again",
            _LIMIT_SECONDS,
        )
        for _, other in pairs:
            other.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
        return sum(tcp_info(one).retransmits for one, _ in pairs)


def _udp() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((_HOST, 0))
    return one


@contextlib.contextmanager
def _connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Connect to itself; both ends."""
    with (
        socket.create_server((_HOST, 0), backlog=1) as listener,
        socket.create_connection(listener.getsockname()) as one,
        listener.accept()[0] as other,
    ):
        yield one, other


WORK: dict[str, Callable[..., Any]] = {
    **load.WORK,
    **waits.WORK,
    "compute": _compute,
    "datagrams": _datagrams,
    "unwanted": _unwanted,
    "connections": _connections,
    "transfers": _transfers,
    "unheard": _unheard,
}


def main() -> None:
    """Do it, and print what it says of itself."""
    load.rename(NAME)
    word, *rest = sys.argv[1:]
    print(WORK[word](*rest))
    # The window ends with this process: what it left to the kernel is done by then.
    time.sleep(0.3)


if __name__ == "__main__":
    main()
