"""Known loads of the network, over this machine's loopback interface."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from tests.laboratory.known_loads.fixed import fixed, once
from tests.laboratory.known_loads.known_load import NAME, OWN, KnownLoad

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.laboratory.known_loads.known_load import MakeLoad

_HOST = "127.0.0.1"

_UNWANTED = 200

_CONNECTIONS = 100

_TRANSFERS, _BYTES = 50, 10_000

_STALLED, _AGAIN = 10, 2


@contextlib.contextmanager
def _unwanted(_folder: Path) -> Iterator[KnownLoad]:
    # In every network namespace of its own number; asked for, and not supposed.
    keys = {"reason": "NO_SOCKET", "ip_version": 4, "interface": socket.if_nametoindex("lo")}
    yield KnownLoad((), once("unwanted", _UNWANTED), "drops", keys, _UNWANTED)


LOADS: dict[str, MakeLoad] = {
    "packet-drops": _unwanted,
    "tcp-connects": fixed(
        OWN, ("connections", _CONNECTIONS), "active", _CONNECTIONS, comm=NAME, remote_address=_HOST
    ),
    # By the kernel's own count of each connection, and each has one sender.
    "tcp-retrans": fixed(
        OWN, ("unheard", _STALLED, _AGAIN), "retransmits", _STALLED * _AGAIN, comm=NAME, remote_address=_HOST
    ),
    "tcpconnlat": fixed(
        OWN, ("connections", _CONNECTIONS), "connects", _CONNECTIONS, comm=NAME, remote_address=_HOST
    ),
    # Bytes.
    "tcptop": fixed(
        OWN, ("transfers", _TRANSFERS, _BYTES), "sent", _TRANSFERS * _BYTES, comm=NAME, remote_address=_HOST
    ),
}
