"""The network namespaces of this host, as far as a process or a name holds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NAMED = Path("/run/netns")


@dataclass(frozen=True, slots=True)
class NetworkNamespace:
    """One of them.

    :param inode: What the kernel knows it by.
    :param path: A file of it, good while its process lives.
    :param name: As `ip netns` calls it; else the process that it was found by.
    """

    inode: int
    path: Path
    name: str


def own_network_namespace() -> int:
    """Return the inode of our own."""
    return Path("/proc/self/ns/net").stat().st_ino


def other_network_namespaces(proc: Path = Path("/proc"), named: Path = NAMED) -> list[NetworkNamespace]:
    """Return all but our own: by their names, then those that only processes have."""
    found: dict[int, NetworkNamespace] = {}
    own = own_network_namespace()
    try:
        names = sorted(named.iterdir())
    except OSError:
        names = []
    pids = sorted(int(each.name) for each in proc.iterdir() if each.name.isdecimal())
    paths = [*((path, path.name) for path in names)]
    paths += [(proc / str(pid) / "ns/net", f"of process {pid}") for pid in pids]
    for path, name in paths:
        try:
            inode = path.stat().st_ino
        except OSError:
            continue
        # A name whose namespace is gone is an ordinary file.
        if inode != own and inode not in found and (path.parent != named or _is_namespace(path)):
            found[inode] = NetworkNamespace(inode, path, name)
    return list(found.values())


def _is_namespace(path: Path) -> bool:
    """Whether a file is on nsfs, which no ordinary one shares a device with."""
    try:
        return path.stat().st_dev == Path("/proc/self/ns/net").stat().st_dev
    except OSError:
        return False
