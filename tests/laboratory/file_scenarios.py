"""Services that read files, one of which is on a disk that makes them wait; the disk of downloads too."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.laboratory import file_server as service
from tests.laboratory.disk import MIB, Disk, counters, disk, mounted, slow_disk
from tests.laboratory.limits import read_group
from tests.laboratory.scenario import Scenario, schedstat
from tests.laboratory.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def archive_on(device: Disk, folder: Path) -> Iterator[Path]:
    """Mount a new file system of a disk; return its folder, with a large file `index` and `part-0` to `part-3`."""
    archive = folder / "archive"
    with mounted(device, archive):
        service.make_file(archive / "index", 16 * MIB)
        for number in range(4):
            service.make_file(archive / f"part-{number}", 128 << 10)
        yield archive


def reads_of(device: Disk) -> dict[str, int]:
    """Return `device_reads` and `device_read_ms`: how many reads a disk did, and how long they took it in sum."""
    found = counters(device.name)
    return {"device_reads": found.reads, "device_read_ms": found.read_ms}


@contextlib.contextmanager
def _reading(device: Disk, archive: Path, folder: Path, group: Path | None = None) -> Iterator[Scenario]:
    """Run the service over the archive on a disk, and fast files in the folder."""
    service.make_files(folder / "fast")
    with service.file_server(archive / "index", folder / "fast", group=group) as (pid, journal):

        def count() -> dict[str, int]:
            threads = [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
            return {**schedstat(threads), **reads_of(device)}

        until(lambda: len(journal.read()[service.SLOW]) >= 2 * service.THREADS, "reads of the archive end")
        yield Scenario(("slow-files", "tail-latency"), ("--comm", service.NAME), count, journal.read)


@contextlib.contextmanager
def file_server() -> Iterator[Scenario]:
    """A service whose reads of one file of nine are slow, for that file is on a slow device; the network is not in it.

    The device is a loop device on another one that a limit lets 20 reads a second through to: it takes its time for
    each request. One read of 25 is of its file, `archive/index`; four threads read.

    Counters: `ran_ns`, `waited_ns`, `runs` of its threads, and `device_reads` and `device_read_ms` of that device.
    Latencies: reads of the `fast` files and of the `slow` one, past the page cache.
    """
    with tempfile.TemporaryDirectory(prefix="ebpf-recipe-scenario-") as name:
        folder = Path(name)
        with (
            slow_disk(folder, 20) as device,
            archive_on(device, folder) as archive,
            _reading(device, archive, folder) as one,
        ):
            yield one


@contextlib.contextmanager
def file_server_limited() -> Iterator[Scenario]:
    """The same service, whose slow file is on a device that is fast: its own cgroup may read from it 20 times a second.

    Such a limit holds reads back before there is a request: the device itself shows nothing.

    Counters and latencies: those of `file_server`.
    """
    with tempfile.TemporaryDirectory(prefix="ebpf-recipe-scenario-") as name:
        folder = Path(name)
        with (
            disk(folder) as device,
            archive_on(device, folder) as archive,
            read_group(device, 20) as group,
            _reading(device, archive, folder, group) as one,
        ):
            yield one
