"""What TCP and UDP of a network namespace count, as `nstat` shows it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from runner.host.companions.fact import Fact, read_lines, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.capture.declaration import Unit


@dataclass(frozen=True, slots=True)
class _Counter:
    name: str
    file: str
    field: str
    unit: Unit


_COUNTERS = (
    _Counter("tcp_out_segs", "snmp", "TcpOutSegs", "segments"),
    _Counter("tcp_retrans_segs", "snmp", "TcpRetransSegs", "segments"),
    _Counter("tcp_timeouts", "netstat", "TcpExtTCPTimeouts", "events"),
    _Counter("tcp_listen_overflows", "netstat", "TcpExtListenOverflows", "events"),
    _Counter("tcp_listen_drops", "netstat", "TcpExtListenDrops", "events"),
    _Counter("udp_rcvbuf_errors", "snmp", "UdpRcvbufErrors", "packets"),
    _Counter("udp_no_ports", "snmp", "UdpNoPorts", "packets"),
    _Counter("udp6_rcvbuf_errors", "snmp6", "Udp6RcvbufErrors", "packets"),
    _Counter("udp6_no_ports", "snmp6", "Udp6NoPorts", "packets"),
)


def protocol_facts(net: Path, pid: int | None) -> Iterator[Fact]:
    """Read the counters of one network namespace.

    :param net: Its folder in /proc.
    :param pid: The process that the namespace is called by.
    """
    said = {
        "snmp": _columns(read_lines(net / "snmp")),
        "netstat": _columns(read_lines(net / "netstat")),
        "snmp6": _rows(read_lines(net / "snmp6")),
    }
    for counter in _COUNTERS:
        number = whole_number(said[counter.file].get(counter.field, ""))
        if number is not None:
            yield Fact(counter.name, str(net / counter.file), counter.unit, number, pid=pid)


def _columns(lines: list[str]) -> dict[str, str]:
    """Return counters that stand as a line of names above a line of numbers, by nstat's names."""
    found: dict[str, str] = {}
    for above, below in pairwise(lines):
        names, numbers = above.split(), below.split()
        # Between two pairs the first words differ: each is its protocol's.
        if names and numbers and names[0] == numbers[0]:
            protocol = names[0].removesuffix(":")
            found.update((protocol + name, n) for name, n in zip(names[1:], numbers[1:], strict=False))
    return found


def _rows(lines: list[str]) -> dict[str, str]:
    """Return counters that stand one a line."""
    return {words[0]: words[1] for line in lines if len(words := line.split()) == 2}
