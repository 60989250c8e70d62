"""Cgroups with a limit on processor time or on reads of a disk, of the version that this host has."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tests.laboratory.cgroups import remove

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.laboratory.disk import Disk

_ROOT = Path("/sys/fs/cgroup")
_NUMBERS = itertools.count()


@contextlib.contextmanager
def cpu_group(quota_us: int | None = None, period_us: int = 100_000) -> Iterator[Path]:
    """Make a cgroup of the cpu controller; whoever is in it must end before the block does.

    :param quota_us: Processor time that it gets in each period; without it there is no limit.
    """
    with _group("cpu") as folder:
        if quota_us is None:
            pass
        elif _is_unified():
            (folder / "cpu.max").write_text(f"{quota_us} {period_us}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(period_us))
            (folder / "cpu.cfs_quota_us").write_text(str(quota_us))
        yield folder


def cpu_periods(folder: Path) -> dict[str, int]:
    """Return `nr_periods` and `nr_throttled` of a cgroup: cpu.stat."""
    fields = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
    return {name: int(fields[name]) for name in ("nr_periods", "nr_throttled")}


@contextlib.contextmanager
def read_group(disk: Disk, reads_per_second: int) -> Iterator[Path]:
    """Make a cgroup that may read from a disk only so often; whoever is in it must end before the block does."""
    number = (Path("/sys/block") / disk.name / "dev").read_text().strip()
    with _group("blkio" if not _is_unified() else "io") as folder:
        if _is_unified():
            (folder / "io.max").write_text(f"{number} riops={reads_per_second}")
        else:
            (folder / "blkio.throttle.read_iops_device").write_text(f"{number} {reads_per_second}")
        yield folder


def _is_unified() -> bool:
    return (_ROOT / "cgroup.controllers").exists()


@contextlib.contextmanager
def _group(controller: str) -> Iterator[Path]:
    root = _ROOT if _is_unified() else _ROOT / controller
    if _is_unified():
        (root / "cgroup.subtree_control").write_text(f"+{controller}")
    folder = root / f"ebpf-recipe-limit-{os.getpid()}-{next(_NUMBERS)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        remove(folder)
