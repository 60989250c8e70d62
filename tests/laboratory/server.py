"""A server whose threads rename themselves: sends a blob to whoever connects. Run as a program.

usage: python -m tests.laboratory.server ADDRESS PORT NAME BYTES [unasked]
With `unasked` it does not wait for its client to ask, and reads nothing before it has sent all.
It prints a line when it listens, and for each connection that its client closed how many segments the kernel sent
again on it, by the kernel's own count of that connection.
"""

import contextlib
import ctypes
import socket
import sys
import threading

from tests.laboratory.tcp_info import tcp_info

_PR_SET_NAME = 15
_LIBC = ctypes.CDLL(None)


def _rename(name: str) -> None:
    _LIBC.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def _serve(connection: socket.socket, blob: bytes, number: int, *, unasked: bool) -> None:
    _rename(f"worker-{number}")
    with connection, contextlib.suppress(ConnectionError):
        if not unasked:
            connection.recv(1)
        connection.sendall(blob)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1):
            pass
        print(f"retransmitted {tcp_info(connection).retransmits}", flush=True)


def main() -> None:
    """Serve until the process is ended."""
    address, port, name, size, *how = sys.argv[1:]
    _rename(name)
    blob = bytes(int(size))
    with socket.create_server(
        (address, int(port)), family=socket.AF_INET6 if ":" in address else socket.AF_INET
    ) as listener:
        print("listening", flush=True)
        for number in range(1 << 30):
            connection, _ = listener.accept()
            threading.Thread(
                target=_serve,
                args=(connection, blob, number),
                kwargs={"unasked": how == ["unasked"]},
                daemon=True,
            ).start()


if __name__ == "__main__":
    main()
