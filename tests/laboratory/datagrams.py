"""Sends UDP datagrams, keeps a socket that nobody reads, or counts what comes to sockets. Run as a program.

usage: python -m tests.laboratory.datagrams send ADDRESS PORT COUNT BYTES [PORT COUNT BYTES …]
       python -m tests.laboratory.datagrams keep ADDRESS PORT
       python -m tests.laboratory.datagrams count ADDRESS PORT [PORT …]

Until the end of its stdin `count` counts datagrams by port, and prints that as JSON.
"""

import contextlib
import json
import select
import socket
import sys
import time


def main() -> None:
    """Send, keep or count."""
    role, address, *rest = sys.argv[1:]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if role == "count":
        _count(family, address, [int(text) for text in rest])
        return
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


def _count(family: socket.AddressFamily, address: str, ports: list[int]) -> None:
    counted = dict.fromkeys(ports, 0)
    with contextlib.ExitStack() as stack:
        port_of = {stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)): port for port in ports}
        for one, port in port_of.items():
            one.bind((address, port))
        print("counting", flush=True)
        # After the end of stdin, what is still on its way.
        seconds = None
        while True:
            watched = [*port_of, *([sys.stdin] if seconds is None else [])]
            ready, _, _ = select.select(watched, [], [], seconds)
            if not ready:
                break
            if sys.stdin in ready:
                seconds = 0.3
            for one, port in port_of.items():
                if one in ready:
                    one.recv(65536)
                    counted[port] += 1
    print(json.dumps(counted))


if __name__ == "__main__":
    main()
