"""Frames of every shape that a program which looks for a UDP port may meet, and which of them are for that port."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tests.laboratory.frames import (
    ARP,
    AUTHENTICATION,
    DESTINATION,
    FRAGMENT,
    HOP_BY_HOP,
    IPV4,
    IPV6,
    NO_NEXT,
    ROUTING,
    SERVICE_VLAN,
    TCP,
    UDP,
    VLAN,
    ethernet,
    ipv4,
    ipv6,
    transport,
)

MALFORMED = "a tag, and nothing behind it"
"""The shape that the kernel itself drops, before anybody receives it."""

_MORE_FRAGMENTS = 0x2000
_FIRST, _LATER = 0, 185


@dataclass(frozen=True)
class Shape:
    """A frame that is sent so many times.

    :param protocol: That of its transport header, where it is for the port; None where it is not.
    """

    name: str
    frame: bytes
    times: int
    protocol: int | None


def shapes(port: int, other: int) -> list[Shape]:
    """Return frames of every shape, each with a number of its own in its source address.

    :param port: The port that is looked for; `other` is another.
    """
    ours, others = transport(port), transport(other)
    # An extension header of 8 bytes, and one of 16, with the port wherever a port would be.
    decoy = struct.pack("!BHHH", 0, port, port, 0x0100)
    long_decoy = struct.pack("!BHHHQ", 1, port, port, 0x0100, 0)
    # Its length is in words of 4 bytes, less 2.
    authentication = struct.pack("!B22x", 4)
    eight = ((DESTINATION, decoy),) * 8
    first_fragment, later_fragment = (struct.pack("!xHI", at << 3 | 1, 1) for at in (_FIRST, _LATER))
    made: list[tuple[str, int, bytes, tuple[int, ...], int | None]] = [
        ("ipv4", IPV4, ipv4(ours), (), UDP),
        ("ipv4, another port", IPV4, ipv4(others), (), None),
        ("ipv4, from the port", IPV4, ipv4(transport(other, source=port)), (), None),
        ("ipv4 with options", IPV4, ipv4(ours, options=bytes([1] * 8)), (), UDP),
        ("ipv4 with most options", IPV4, ipv4(ours, options=bytes([1] * 40)), (), UDP),
        (
            "ipv4, another port behind options like ports",
            IPV4,
            ipv4(others, options=struct.pack("!4H", *[port] * 4)),
            (),
            None,
        ),
        ("ipv4, first fragment", IPV4, ipv4(ours, fragment=_MORE_FRAGMENTS | _FIRST), (), UDP),
        ("ipv4, not to be fragmented", IPV4, ipv4(ours, fragment=0x4000), (), UDP),
        ("ipv4, later fragment", IPV4, ipv4(ours, fragment=_MORE_FRAGMENTS | _LATER), (), None),
        ("ipv4, last fragment", IPV4, ipv4(ours, fragment=_LATER), (), None),
        ("ipv4, tcp", IPV4, ipv4(ours, protocol=TCP), (), TCP),
        ("ipv4, udp-lite", IPV4, ipv4(ours, protocol=136), (), None),
        ("ipv4, its end missing", IPV4, ipv4(ours)[:22], (), None),
        ("ipv4, its header too short", IPV4, b"\x44" + ipv4(ours)[1:], (), None),
        ("ipv4 of version 5", IPV4, b"\x55" + ipv4(ours)[1:], (), None),
        ("ipv6", IPV6, ipv6(ours), (), UDP),
        ("ipv6, another port", IPV6, ipv6(others), (), None),
        ("ipv6, hop by hop", IPV6, ipv6(ours, headers=((HOP_BY_HOP, decoy),)), (), UDP),
        (
            "ipv6, another port behind decoys",
            IPV6,
            ipv6(others, headers=((HOP_BY_HOP, long_decoy), (ROUTING, decoy))),
            (),
            None,
        ),
        ("ipv6, routing", IPV6, ipv6(ours, headers=((ROUTING, long_decoy),)), (), UDP),
        ("ipv6, authentication", IPV6, ipv6(ours, headers=((AUTHENTICATION, authentication),)), (), UDP),
        ("ipv6, first fragment", IPV6, ipv6(ours, headers=((FRAGMENT, first_fragment),)), (), UDP),
        ("ipv6, later fragment", IPV6, ipv6(ours, headers=((FRAGMENT, later_fragment),)), (), None),
        (
            "ipv6, three headers",
            IPV6,
            ipv6(ours, headers=((HOP_BY_HOP, decoy), (DESTINATION, long_decoy), (FRAGMENT, first_fragment))),
            (),
            UDP,
        ),
        ("ipv6, eight headers", IPV6, ipv6(ours, headers=eight), (), UDP),
        ("ipv6, nine headers", IPV6, ipv6(ours, headers=(*eight, (DESTINATION, decoy))), (), None),
        ("ipv6, tcp", IPV6, ipv6(ours, protocol=TCP), (), TCP),
        ("ipv6, nothing behind it", IPV6, ipv6(ours, protocol=NO_NEXT), (), None),
        ("ipv6, its end missing", IPV6, ipv6(ours, headers=((HOP_BY_HOP, decoy),))[:41], (), None),
        ("one tag, ipv4", IPV4, ipv4(ours), (VLAN,), UDP),
        ("one tag, ipv4, another port", IPV4, ipv4(others), (VLAN,), None),
        ("one tag, ipv6", IPV6, ipv6(ours), (VLAN,), UDP),
        ("two tags, ipv4", IPV4, ipv4(ours), (SERVICE_VLAN, VLAN), UDP),
        ("two tags, ipv6", IPV6, ipv6(ours), (VLAN, VLAN), UDP),
        ("two tags, ipv6, another port", IPV6, ipv6(others), (SERVICE_VLAN, VLAN), None),
        (MALFORMED, IPV4, b"", (VLAN,), None),
        ("arp", ARP, ipv4(ours), (), None),
    ]
    # Numbers that no other shape is sent by: a sum that is right is no accident.
    return [
        Shape(name, ethernet(number, kind, packet, tags), 1 + number, protocol)
        for number, (name, kind, packet, tags, protocol) in enumerate(made)
    ]
