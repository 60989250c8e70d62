"""Disks that live in files: loop devices, taken away whatever happens; and what the kernel counts of them.

`python -m tests.laboratory.disk attach NUMBER FILE` and `… remove NUMBER` are for commands that a run watches.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import itertools
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.laboratory.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
_LOOP_CTL_ADD, _LOOP_CTL_REMOVE = 0x4C80, 0x4C81
"""include/uapi/linux/loop.h"""

THROTTLE = Path("/sys/fs/cgroup/blkio/blkio.throttle.read_iops_device")

# High ones: nobody else asks for them.
_NUMBERS = itertools.count(700)


@dataclass(frozen=True, slots=True)
class Counters:
    """What /sys/block/DEVICE/stat says (Documentation/block/stat.rst): requests done, sectors, milliseconds."""

    reads: int
    read_merges: int
    read_sectors: int
    read_ms: int
    writes: int
    write_merges: int
    write_sectors: int
    write_ms: int
    discards: int
    discard_sectors: int
    flushes: int

    def since(self, before: Counters) -> Counters:
        """Return what was counted after an earlier reading."""
        then = dataclasses.asdict(before)
        return Counters(**{name: count - then[name] for name, count in dataclasses.asdict(self).items()})


def counters(name: str) -> Counters:
    """Return the counters of a disk or a partition."""
    fields = [int(word) for word in (Path("/sys/class/block") / name / "stat").read_text().split()]
    names = [field.name for field in dataclasses.fields(Counters)]
    return Counters(**dict(zip(names, [*fields[:8], fields[11], fields[13], fields[15]], strict=True)))


@dataclass(frozen=True, slots=True)
class Disk:
    """A loop device and the file that it is on."""

    name: str
    file: Path

    @property
    def path(self) -> str:
        """Return the device."""
        return f"/dev/{self.name}"

    def setting(self, name: str, value: str) -> None:
        """Change a setting of its queue: /sys/block/DEVICE/queue."""
        (Path("/sys/block") / self.name / "queue" / name).write_text(value)


@contextlib.contextmanager
def disk(
    folder: Path,
    size: int = 64 * MIB,
    *,
    on: str | None = None,
    partitions: tuple[tuple[int, int], ...] = (),
    direct: bool = True,
) -> Iterator[Disk]:
    """Attach a loop device of its own number to a new file, with direct I/O.

    :param folder: Where the file is made.
    :param on: A device that takes the place of the file.
    :param partitions: First sector and number of sectors of each.
    :param direct: Not where the file system below cannot: tmpfs before Linux 6.6.
    """
    number = add_device()
    one = Disk(f"loop{number}", folder / f"disk-{number}")
    scan = ["--partscan"] if partitions else []
    try:
        if on is None:
            with one.file.open("wb") as file:
                # Not holes: those are read without the disk below.
                os.posix_fallocate(file.fileno(), 0, size)
        _run("losetup", f"--direct-io={'on' if direct else 'off'}", *scan, one.path, on or str(one.file))
        try:
            for place, (first, sectors) in enumerate(partitions, 1):
                # Not written into a table: kernels without CONFIG_MSDOS_PARTITION read none.
                _run("addpart", one.path, str(place), str(first), str(sectors))
            yield one
        finally:
            subprocess.run(["losetup", "--detach", one.path], capture_output=True, check=False)
    finally:
        remove_device(number)
        one.file.unlink(missing_ok=True)


@contextlib.contextmanager
def slow_disk(folder: Path, reads_per_second: int) -> Iterator[Disk]:
    """Attach a loop device on another one that so many reads a second are let through to.

    The limit (cgroup v1, blkio.throttle) holds back the threads that serve the upper device: it is slow itself.
    """
    with disk(folder) as below, disk(folder, on=below.path) as one:
        number = (Path("/sys/block") / below.name / "dev").read_text().strip()
        THROTTLE.write_text(f"{number} {reads_per_second}")
        try:
            yield one
        finally:
            THROTTLE.write_text(f"{number} 0")


@contextlib.contextmanager
def mounted(disk: Disk, folder: Path) -> Iterator[None]:
    """Make a file system on a disk and mount it on a folder, which is made, until the end of the block."""
    # Nothing that the file system would do later of its own will.
    _run("mkfs.ext4", "-q", "-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard", disk.path)
    folder.mkdir()
    _run("mount", "-o", "noatime", disk.path, str(folder))
    try:
        yield
    finally:
        # Whoever read there has been ended, and leaves a little later.
        until(
            lambda: subprocess.run(["umount", folder], capture_output=True, check=False).returncode == 0,
            "umount",
        )


def add_device() -> int:
    """Make a loop device without a file; return its number."""
    for number in _NUMBERS:
        try:
            _control(_LOOP_CTL_ADD, number)
        except FileExistsError:
            continue  # left by somebody
        return number
    raise AssertionError


def remove_device(number: int) -> None:
    """Take a loop device out of the kernel, where it is not in use."""
    with contextlib.suppress(OSError):
        _control(_LOOP_CTL_REMOVE, number)


def _control(request: int, number: int) -> None:
    with Path("/dev/loop-control").open("rb") as control:
        fcntl.ioctl(control, request, number)


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def main() -> None:
    """Attach a device to a file, or detach it and take it out of the kernel: nothing has its name any more."""
    what, number, *file = sys.argv[1:]
    if what == "attach":
        _control(_LOOP_CTL_ADD, int(number))
        _run("losetup", "--direct-io=on", f"/dev/loop{number}", *file)
    else:
        _run("losetup", "--detach", f"/dev/loop{number}")
        _control(_LOOP_CTL_REMOVE, int(number))


if __name__ == "__main__":
    main()
