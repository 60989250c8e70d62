"""Which processes hold which BPF objects, by their open files: not every bpftool is built to say it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

_KINDS = {
    "anon_inode:bpf-prog": "program",
    "anon_inode:bpf-map": "map",
    "anon_inode:bpf_link": "link",
    "anon_inode:bpf-link": "link",
}


@dataclass(slots=True)
class Holders:
    """Who holds what.

    :ivar programs: The processes, by program id, and `maps` by map id.
    :ivar linked: Likewise of programs, through a link that attaches them.
    :ivar hidden: How many processes could not be looked at.
    """

    programs: dict[int, set[int]] = field(default_factory=dict)
    linked: dict[int, set[int]] = field(default_factory=dict)
    maps: dict[int, set[int]] = field(default_factory=dict)
    hidden: int = 0


def read_holders(proc: Path = Path("/proc")) -> Holders:
    """Return who holds what now; processes that end meanwhile hold nothing."""
    holders = Holders()
    tables = {
        "program": (holders.programs, b"prog_id"),
        "link": (holders.linked, b"prog_id"),
        "map": (holders.maps, b"map_id"),
    }
    for name in os.listdir(proc):  # noqa: PTH208  # 100,000 descriptors are looked at: strings are faster
        if not name.isdecimal():
            continue
        folder = f"{proc}/{name}/fd"
        try:
            descriptors = os.listdir(folder)  # noqa: PTH208
        except PermissionError:
            holders.hidden += 1
            continue
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                kind = _KINDS.get(os.readlink(f"{folder}/{descriptor}"))  # noqa: PTH115
                if kind is None:
                    continue
                table, key = tables[kind]
                identity = _number(Path(f"{proc}/{name}/fdinfo/{descriptor}").read_bytes(), key)
            except OSError:
                continue
            if identity is not None:
                table.setdefault(identity, set()).add(int(name))
    return holders


def _number(fdinfo: bytes, key: bytes) -> int | None:
    for line in fdinfo.splitlines():
        name, _, value = line.partition(b":")
        if name == key:
            return int(value)
    return None
