"""The network namespaces of processes: where their counters are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.capture.signs import MOST_NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MOST_WITNESSES = 8
"""Processes of one namespace that are remembered: the first may end during the run."""


@dataclass(frozen=True, slots=True)
class NetworkNamespace:
    """A network namespace, seen through the processes in it.

    :param link: What /proc/PID/ns/net says, such as `net:[4026531840]`.
    :param pids: Some of its processes; empty for the runner's own.
    """

    link: str
    pids: tuple[int, ...] = ()

    @property
    def pid(self) -> int | None:
        """Return the process that it is called by; None for the runner's own."""
        return self.pids[0] if self.pids else None

    def folder(self, proc: Path) -> Path | None:
        """Return the folder of its counters; None where none of its processes is left."""
        if not self.pids:
            return proc / "net"
        for pid in self.pids:
            if _link(proc, str(pid)) == self.link:
                return proc / str(pid) / "net"
        return None


def network_namespaces(pids: Iterable[int], proc: Path) -> list[NetworkNamespace]:
    """Return the namespaces of processes, at most MOST_NAMESPACES; the runner's where there are none."""
    own = _link(proc, "self")
    found: dict[str, list[int]] = {}
    for pid in pids:
        link = _link(proc, str(pid))
        if link:
            found.setdefault(link, []).append(pid)
    namespaces = [
        NetworkNamespace(link, () if link == own else tuple(members[:_MOST_WITNESSES]))
        for link, members in found.items()
    ]
    return namespaces[:MOST_NAMESPACES] or [NetworkNamespace(own)]


def _link(proc: Path, process: str) -> str:
    try:
        return str((proc / process / "ns/net").readlink())
    except OSError:
        return ""  # it ended meanwhile, or is another's
