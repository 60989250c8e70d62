"""What the CPU limits of control groups held back: cgroup v1, v2, and hosts that have both."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.capture.signs import MOST_GROUPS
from runner.host.companions.fact import Fact, read_lines, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.capture.declaration import Unit


_ESCAPE = re.compile(rb"\\([0-7]{3})")
_UNLIMITED = ("max", "-1")


@dataclass(frozen=True, slots=True)
class CpuGroup:
    """A control group of the hierarchy that limits CPU time.

    :param path: As /proc/PID/cgroup names it.
    :param is_unified: It is of cgroup v2.
    """

    path: bytes
    folder: Path
    is_unified: bool

    def limit(self) -> tuple[int, int] | None:
        """Return quota and period in us; None where it has no limit of its own."""
        if self.is_unified:
            words = [word for line in read_lines(self.folder / "cpu.max")[:1] for word in line.split()]
        else:
            files = (self.folder / "cpu.cfs_quota_us", self.folder / "cpu.cfs_period_us")
            words = [line for file in files for line in read_lines(file)[:1]]
        if len(words) != 2 or words[0] in _UNLIMITED:
            return None
        quota, period = whole_number(words[0]), whole_number(words[1])
        return (quota, period) if quota is not None and period else None

    def facts(self) -> Iterator[Fact]:
        """Read how often and how long its tasks were held back, and its limit.

        `nr_periods`, `nr_throttled` and the time are those of the group's own limit, and the time is
        summed over processors (cpu_cfs_stat_show and cpu_extra_stat_show of kernel/sched/core.c).
        """
        stat = self.folder / "cpu.stat"
        said = dict(line.split(maxsplit=1) for line in read_lines(stat) if " " in line.strip())
        time_field, time_unit = ("throttled_usec", "us") if self.is_unified else ("throttled_time", "ns")
        fields: tuple[tuple[str, str, Unit], ...] = (
            ("cpu_periods", "nr_periods", "periods"),
            ("cpu_throttled_periods", "nr_throttled", "periods"),
            ("cpu_throttled_time", time_field, "us" if time_unit == "us" else "ns"),
        )
        for name, field, unit in fields:
            number = whole_number(said.get(field, "").strip())
            if number is not None:
                yield Fact(name, _shown(stat), unit, number, cgroup=self.path)
        limit = self.limit()
        if limit is not None:
            files = ("cpu.max", "cpu.max") if self.is_unified else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            for name, file, number in zip(("cpu_quota", "cpu_quota_period"), files, limit, strict=True):
                yield Fact(name, _shown(self.folder / file), "us", number, cgroup=self.path)


def cpu_groups(pids: Iterable[int], proc: Path) -> list[CpuGroup]:
    """Return the groups whose CPU limits hold for processes: at most MOST_GROUPS, limited ones first.

    The limit of a group holds for all below it, so these are the groups of each process, from its own
    up to the root, that have a limit. Where none has, it is its own: a limit that comes during the run
    shows there. The host's root group can have none.
    """
    mounts = _mounts(proc)
    limited: dict[Path, CpuGroup] = {}
    others: dict[Path, CpuGroup] = {}
    seen: set[tuple[bytes, bool]] = set()
    for pid in pids:
        place = _place_of(pid, proc)
        if place is None or place in seen:
            continue
        seen.add(place)
        chain = list(_chain(*place, mounts))
        with_limit = [group for group in chain if group.limit() is not None]
        limited.update((group.folder, group) for group in with_limit)
        if not with_limit and chain and chain[0].path != b"/":
            others[chain[0].folder] = chain[0]
    return [*limited.values(), *others.values()][:MOST_GROUPS]


def _place_of(pid: int, proc: Path) -> tuple[bytes, bool] | None:
    """Return a process's group in the hierarchy of the cpu controller, and whether that is cgroup v2."""
    try:
        lines = (proc / str(pid) / "cgroup").read_bytes().split(b"\n")
    except OSError:
        return None  # it ended meanwhile
    unified = None
    for line in lines:
        number, _, rest = line.partition(b":")
        controllers, _, path = rest.partition(b":")
        if b"cpu" in controllers.split(b","):
            return path, False
        if number == b"0" and not controllers and path:
            unified = path
    return None if unified is None else (unified, True)


def _mounts(proc: Path) -> list[tuple[bytes, bytes, bool]]:
    """Return root, place and version (True for v2) of each mount that has the cpu controller."""
    found = []
    try:
        lines = (proc / "self/mountinfo").read_bytes().split(b"\n")
    except OSError:
        return []
    for line in lines:
        fields, _, rest = (part.split() for part in line.partition(b" - "))
        if len(fields) < 5 or len(rest) < 3:
            continue
        is_unified = rest[0] == b"cgroup2"
        if is_unified or (rest[0] == b"cgroup" and b"cpu" in rest[2].split(b",")):
            root, place = (_ESCAPE.sub(lambda m: bytes([int(m[1], 8) & 0xFF]), each) for each in fields[3:5])
            found.append((root.rstrip(b"/"), place, is_unified))
    return found


def _chain(path: bytes, is_unified: bool, mounts: list[tuple[bytes, bytes, bool]]) -> Iterator[CpuGroup]:
    """Return a group and those above it, as far as they are mounted."""
    for root, place, version in mounts:
        if version is not is_unified or not (path + b"/").startswith(root + b"/"):
            continue
        if not Path(os.fsdecode(place + path[len(root) :])).is_dir():
            continue  # another mount may show it
        while True:
            yield CpuGroup(path or b"/", Path(os.fsdecode(place + path[len(root) :])), is_unified)
            if path.rstrip(b"/") == root:
                return
            path = path.rstrip(b"/").rpartition(b"/")[0]


def _shown(path: Path) -> str:
    return os.fsencode(path).decode(errors="replace")
