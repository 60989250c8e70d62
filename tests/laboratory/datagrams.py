"""Sends UDP datagrams that are lost, or keeps a socket that nobody reads. Run as a program.

usage: python -m tests.laboratory.datagrams send ADDRESS PORT COUNT BYTES [PORT COUNT BYTES …]
       python -m tests.laboratory.datagrams keep ADDRESS PORT
"""

import socket
import sys
import time


def main() -> None:
    """Send, or keep."""
    role, address, *rest = sys.argv[1:]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        if role == "keep":
            # The least that the kernel allows.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            one.bind((address, int(rest[0])))
            print("listening", flush=True)
            sys.stdin.readline()
            return
        numbers = [int(text) for text in rest]
        for port, count, size in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True):
            for _ in range(count):
                one.sendto(bytes(size), (address, port))
    # What a softirq still holds is dropped in this time.
    time.sleep(0.2)


if __name__ == "__main__":
    main()
