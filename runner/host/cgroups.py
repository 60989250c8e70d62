"""Control groups as the host has them: hierarchies of version 1 and 2, paths, levels and ids."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import HostRefused
from runner.host.btf import enum_names
from runner.host.btf_types import kernel_types
from runner.host.facts import CgroupPlace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

V2 = "v2"

_FIRST_CGROUP_NAMESPACE = 0xEFFFFFFB
"""PROC_CGROUP_INIT_INO of include/linux/proc_ns.h."""

_SUBSYSTEM = "_cgrp_id"
_LAST_SUBSYSTEM = "CGROUP_SUBSYS_COUNT"
"""Members of enum cgroup_subsys_id of the kernel: `memory_cgrp_id`, and how many there are."""

_NAMED_OTHERWISE = {"blkio": "io"}
"""Controllers that version 1 mounts by another name than the kernel's own."""

_CONTROLLERS = (
    "memory", "pids", "cpuset", "cpu", "cpuacct", "blkio", "devices", "freezer", "perf_event", "hugetlb",
    "net_cls", "net_prio", "rdma", "misc", "debug",
)  # fmt: skip
"""Controllers of version 1, by how sure an engine of containers makes cgroups there."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted hierarchy of cgroups.

    :param name: `v2`, or the controller by which a program finds a task's cgroup in it; of one without a
        controller (systemd's own of version 1) what it is called, `name=systemd`.
    :param controllers: All that are mounted there; of version 2 none, they are all the same one.
    :param mount: Where it is mounted, as we reach it.
    :param root: The cgroup that is mounted there: `/`, or where a part of the hierarchy is mounted its path.
    """

    name: str
    controllers: tuple[str, ...]
    mount: Path
    root: str = "/"

    @property
    def is_seen_by_programs(self) -> bool:
        """Whether a task's cgroup in it can be found in the kernel by a fixed path."""
        return self.name == V2 or bool(self.controllers)

    def is_called(self, named: str) -> bool:
        """Whether a line of /proc/PID/cgroup with these controllers means it; version 2 has none."""
        if not named:
            return self.name == V2
        return self.name == named or set(named.split(",")) == set(self.controllers)

    def directory(self, path: str) -> Path | None:
        """Return the directory of a cgroup; None where it is not below what is mounted."""
        root = self.root.rstrip("/")
        if path != self.root and not path.startswith(f"{root}/"):
            return None
        return self.mount / path[len(root) :].strip("/")

    def place_of(self, directory: Path) -> CgroupPlace:
        """Return the cgroup of a directory below the mount.

        :raises OSError: It is gone.
        """
        below = directory.relative_to(self.mount).parts
        parts = [*self.root.strip("/").split("/"), *below] if self.root != "/" else list(below)
        identity = directory.stat().st_ino
        return CgroupPlace(self.name, subsystem_of(self.name), f"/{'/'.join(parts)}", len(parts), identity)

    def cgroups(self) -> Iterator[CgroupPlace]:
        """Return every cgroup below the mount, parents first."""
        for folder, folders, _ in os.walk(self.mount):
            folders.sort()
            try:
                yield self.place_of(Path(folder))
            except OSError:
                continue  # it went away meanwhile

    def is_populated(self, path: str) -> bool:
        """Whether a process is in the cgroup or below it."""
        return next(self.processes(path), None) is not None

    def processes(self, path: str) -> Iterator[int]:
        """Return the processes that are in the cgroup or below it now, by the ids that we see."""
        top = self.directory(path)
        for folder, _, _ in os.walk(top) if top is not None else ():
            try:
                members = Path(folder, "cgroup.procs").read_text().split()
            except OSError:
                continue  # it went away, or has threads alone
            yield from (int(pid) for pid in members)


def path_in(cgroups: bytes, hierarchy: str) -> str | None:
    """Return the path of a process's cgroup in a hierarchy; None where it has none there.

    :param cgroups: Its /proc/PID/cgroup.
    """
    for line in os.fsdecode(cgroups).split("\n"):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if path and (not controllers if hierarchy == V2 else hierarchy in controllers.split(",")):
            return path
    return None


def is_inside(cgroups: bytes, place: CgroupPlace, *, is_exact: bool) -> bool:
    """Whether a process is in a cgroup or, unless that alone is meant, below it.

    :param cgroups: Its /proc/PID/cgroup.
    """
    path = path_in(cgroups, place.hierarchy)
    if path is None:
        return False
    return path == place.path or (not is_exact and path.startswith(f"{place.path.rstrip('/')}/"))


@cache
def subsystem_of(controller: str) -> int | None:
    """Return the place of a controller in `struct css_set.subsys`; None of version 2, or of no controller."""
    wanted = _NAMED_OTHERWISE.get(controller, controller) + _SUBSYSTEM
    return next((place for place, name in enum_names(_LAST_SUBSYSTEM).items() if name == wanted), None)


def ancestors_offset() -> int:
    """Return where `struct cgroup` has its ancestors (since Linux 6.1), in bytes.

    :raises HostRefused: The kernel does not say.
    """
    types = kernel_types()
    offset = None if types is None else types.member_offset("cgroup", "ancestors")
    if offset is None:
        raise HostRefused(
            "this kernel does not say where a cgroup has its ancestors: that takes BTF and Linux 6.1"
        )
    return offset


def host_root() -> Path:
    """Return the root directory of the host: in a container that shares its process ids, process 1's.

    :raises HostRefused: We see cgroups from inside one: neither their paths nor their levels are the host's.
    """
    own = Path("/proc/self/ns")
    if (own / "cgroup").exists() and (own / "cgroup").stat().st_ino != _FIRST_CGROUP_NAMESPACE:
        raise HostRefused(
            "this is a cgroup namespace: which cgroups of the host these are cannot be seen",
            hint="use --pid or --comm, or run it in the host's: nsenter --target 1 --cgroup --mount, "
            "docker run --cgroupns host, a privileged container of Kubernetes",
        )
    try:
        if (own / "mnt").stat().st_ino != Path("/proc/1/ns/mnt").stat().st_ino and (
            own / "pid"
        ).stat().st_ino == Path("/proc/1/ns/pid").stat().st_ino:
            return Path("/proc/1/root")
    except OSError:
        pass  # not ours to see
    return Path("/")


def hierarchies(root: Path = Path("/")) -> list[Hierarchy]:
    """Return the hierarchies that are mounted, version 2 first, then those of version 1.

    :param root: The root directory of the host.
    """
    mounts = root / "proc/1/mountinfo" if root != Path("/") else Path("/proc/self/mountinfo")
    return parse_mounts(mounts.read_text(errors="surrogateescape"), root)


def parse_mounts(mountinfo: str, root: Path) -> list[Hierarchy]:
    """Return the hierarchies that /proc/PID/mountinfo lists; of several mounts of one the widest."""
    by_mount: dict[Path, Hierarchy] = {}
    for line in mountinfo.split("\n"):
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kinds) < 3 or kinds[0] not in ("cgroup", "cgroup2"):
            continue
        inner, where = _unescaped(fields[3]), _unescaped(fields[4])
        # From within a cgroup namespace the host's mounts begin above everything that it sees.
        if set(inner.strip("/").split("/")) == {".."}:
            inner = "/"
        mount = root / where.lstrip("/")
        if not mount.is_dir():
            continue  # another file system is mounted over it
        where_it_is = mount.resolve() if root == Path("/") else mount
        # Of several mounts at one place the last is seen.
        by_mount[where_it_is] = Hierarchy(*_named(kinds), where_it_is, inner)
    found: dict[str, Hierarchy] = {}
    for hierarchy in by_mount.values():
        known = found.get(hierarchy.name)
        if known is None or len(hierarchy.root) < len(known.root):
            found[hierarchy.name] = hierarchy
    return sorted(found.values(), key=_rank)


def _named(kinds: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    if kinds[0] == "cgroup2":
        return V2, ()
    options = kinds[2].split(",")
    named = next((option for option in options if option.startswith("name=")), "")
    controllers = tuple(each for each in _CONTROLLERS if each in options)
    return (controllers[0] if controllers else named), controllers


def _rank(hierarchy: Hierarchy) -> tuple[bool, int]:
    place = _CONTROLLERS.index(hierarchy.name) if hierarchy.controllers else len(_CONTROLLERS)
    return hierarchy.name != V2, place


def _unescaped(text: str) -> str:
    """Return a path as it is: mountinfo writes blanks and backslashes in octal."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), text)
