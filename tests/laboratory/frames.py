"""Makes Ethernet frames of any shape, sends them out of an interface, and counts those that come. Run as a program.

usage: python -m tests.laboratory.frames send INTERFACE < frames
       python -m tests.laboratory.frames count INTERFACE

Frames are sent in the order of the lines of stdin: how often, and the frame in hexadecimal. Until the end of its stdin
`count` counts frames by the last byte of their source address, and prints that as JSON; what this host sends is left out.
"""

import errno
import json
import select
import socket
import struct
import sys
from collections import Counter

BROADCAST = b"\xff" * 6
IPV4, IPV6, VLAN, SERVICE_VLAN, ARP = 0x0800, 0x86DD, 0x8100, 0x88A8, 0x0806
HOP_BY_HOP, TCP, UDP, ROUTING, FRAGMENT, AUTHENTICATION, NO_NEXT, DESTINATION = 0, 6, 17, 43, 44, 51, 59, 60
_ETH_P_ALL = 3
_SOURCE = bytes.fromhex("0200005e00")
_SO_RCVBUFFORCE = 33
_SETTLED_SECONDS = 0.3


def ethernet(number: int, kind: int, payload: bytes, tags: tuple[int, ...] = ()) -> bytes:
    """Return a frame to everybody.

    :param number: The last byte of its source address, by which it is counted.
    :param tags: The types of its VLAN tags, the outer one first.
    """
    # Each tag is its type and its VLAN; the type of the packet comes last.
    types = b"".join(struct.pack("!HH", tag, 7) for tag in tags) + struct.pack("!H", kind)
    return BROADCAST + _SOURCE + bytes([number]) + types + payload


def transport(port: int, source: int = 40000, payload: bytes = b"data") -> bytes:
    """Return a UDP datagram without a checksum; TCP has its ports in the same place."""
    return struct.pack("!HHHH", source, port, 8 + len(payload), 0) + payload


def ipv4(payload: bytes, *, protocol: int = UDP, options: bytes = b"", fragment: int = 0) -> bytes:
    """Return an IPv4 packet.

    :param fragment: Flags and offset, as the header has them.
    """
    first = 0x45 + len(options) // 4
    total = 20 + len(options) + len(payload)
    addresses = bytes([10, 99, 0, 2, 10, 99, 0, 1])
    head = struct.pack("!BBHHHBBH8s", first, 0, total, 1, fragment, 64, protocol, 0, addresses) + options
    sum_of_words = sum(struct.unpack(f"!{len(head) // 2}H", head))
    while sum_of_words >> 16:
        sum_of_words = (sum_of_words & 0xFFFF) + (sum_of_words >> 16)
    return head[:10] + struct.pack("!H", 0xFFFF - sum_of_words) + head[12:] + payload


def ipv6(payload: bytes, *, headers: tuple[tuple[int, bytes], ...] = (), protocol: int = UDP) -> bytes:
    """Return an IPv6 packet.

    :param headers: Extension headers: of what type, and all of it but its first byte.
    """
    types = [*(kind for kind, _ in headers), protocol]
    body = (
        b"".join(bytes([after]) + rest for (_, rest), after in zip(headers, types[1:], strict=True)) + payload
    )
    address = bytes.fromhex("fd99") + bytes(13)
    return struct.pack("!IHBB", 6 << 28, len(body), types[0], 64) + address + b"\2" + address + b"\1" + body


def main() -> None:
    """Send, or count."""
    role, interface = sys.argv[1:]
    with socket.socket(
        socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0 if role == "send" else _ETH_P_ALL)
    ) as one:
        # As much as one test sends: none is lost to a reader that is late.
        one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
        one.bind((interface, 0 if role == "send" else _ETH_P_ALL))
        if role == "send":
            for line in sys.stdin:
                times, frame = line.split()
                for _ in range(int(times)):
                    _send(one, bytes.fromhex(frame))
        else:
            _count(one)


def _send(one: socket.socket, frame: bytes) -> None:
    try:
        one.send(frame)
    except OSError as error:
        # What the kernel says where a filter of this host drops it.
        if error.errno != errno.ENOBUFS:
            raise


def _count(one: socket.socket) -> None:
    found: Counter[int] = Counter()
    print("counting", flush=True)
    seconds = None
    while True:
        ready, _, _ = select.select([one, *([sys.stdin] if seconds is None else [])], [], [], seconds)
        if one in ready:
            frame, address = one.recvfrom(65536)
            if frame[6:11] == _SOURCE and address[2] != socket.PACKET_OUTGOING:
                found[frame[11]] += 1
        elif sys.stdin in ready:
            # What is still on its way.
            seconds = _SETTLED_SECONDS
        else:
            break
    print(json.dumps(found))


if __name__ == "__main__":
    main()
