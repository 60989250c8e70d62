"""A client for the laboratory's server: reads so many blobs, one after the other. Run as a program.

usage: python -m tests.laboratory.client ADDRESS PORT TIMES|stall
With `stall` it opens 40 connections, asks on each after a line on stdin, and never reads.
"""

import socket
import sys
import time

STALLED = 40


def stall(address: str, port: int) -> None:
    """Open many connections; after a line on stdin ask on each of them; then wait to be ended."""
    connections = [socket.create_connection((address, port), timeout=20) for _ in range(STALLED)]
    print("connected", flush=True)
    sys.stdin.readline()
    for connection in connections:
        connection.sendall(b"x")
    print("asked", flush=True)
    time.sleep(600)


def main() -> None:
    """Fetch the blobs, at most 60 s, then wait for last packets."""
    address, port, times = sys.argv[1:]
    if times == "stall":
        stall(address, int(port))
    end = time.monotonic() + 60
    for _ in range(int(times)):
        with socket.create_connection((address, int(port)), timeout=20) as connection:
            connection.sendall(b"x")
            while connection.recv(1 << 16):
                if time.monotonic() > end:
                    sys.exit("the load took more than 60 s")
    time.sleep(0.5)


if __name__ == "__main__":
    main()
