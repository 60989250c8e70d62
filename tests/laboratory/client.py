"""A client for the laboratory's server: reads so many blobs, one after the other. Run as a program.

usage: python -m tests.laboratory.client ADDRESS PORT TIMES
"""

import socket
import sys
import time


def main() -> None:
    """Fetch the blobs, at most 60 s, then wait for last packets."""
    address, port, times = sys.argv[1:]
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
