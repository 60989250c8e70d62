"""Loads that a change is tried under, each with a change that helps, one that does nothing and one that makes it worse.

What a scene raises it takes down whatever happens, and a setting is as it was before. All need root. A run of a load
takes two and a half seconds and does the same work each time, at a rate that holds under each of the changes.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.laboratory import connection_bursts, record_reader
from tests.laboratory.disk import counters, mounted, slow_disk
from tests.laboratory.file_server import make_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

READ_AHEAD_KIB = 128
"""How far is read ahead before a change: what most disks have."""
LONGEST_QUEUE = 10
"""Connections that may wait to be accepted before a change."""

_READS_PER_SECOND = 40
_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class Change:
    """A setting, and what it is changed to.

    :param setting: A file of one value, or the name of a sysctl.
    """

    setting: str
    value: str

    @property
    def file(self) -> str:
        """Return its file."""
        return self.setting if self.setting[0] == "/" else f"/proc/sys/{self.setting.replace('.', '/')}"


@dataclass(frozen=True, slots=True)
class Scene:
    """A load, what measures it, and what may be changed.

    :param recipe: Its primary outcome is what the changes change, or do not.
    :param arguments: Of the recipe.
    :param load: Run once for each run, in the network namespace of the scene where it has one.
    :param work: What the load says that it did, each time.
    :param network: Its network namespace, as `ip netns` has it: settings of the network are those that it has.
    :param counted: Reads what the kernel counts of the load, by name; none ever falls.
    """

    recipe: str
    arguments: tuple[str, ...]
    load: tuple[str, ...]
    work: str
    better: Change
    same: Change
    worse: Change
    counted: Callable[[], dict[str, int]]
    network: str | None = None

    def inside(self, argv: Sequence[str]) -> list[str]:
        """Return a command as it runs where the load does."""
        return _inside(self.network, argv)

    def since(self, before: Mapping[str, int]) -> dict[str, int]:
        """Return by how much each counter rose after an earlier `counted`."""
        return {name: count - before[name] for name, count in self.counted().items()}

    def value(self, change: Change) -> str:
        """Return what the setting of a change is now."""
        return _said(self.inside(["cat", change.file])).strip()

    @contextlib.contextmanager
    def changed(self, change: Change | None) -> Iterator[None]:
        """Have a change for the time of a block; None is no change."""
        if change is None:
            yield
            return
        before = self.value(change)
        self._write(change.file, change.value)
        try:
            yield
        finally:
            self._write(change.file, before)

    def _write(self, file: str, value: str) -> None:
        _said(self.inside(["sh", "-c", 'echo "$1" > "$2"', "sh", value, file]))


@contextlib.contextmanager
def read_ahead() -> Iterator[Scene]:
    """A file that is read from beginning to end, from a disk that does few requests a second, however large they are.

    The disk is a loop device on another one that a limit lets 40 reads a second through to, four in each tenth of a
    second. A record of 768 KiB is six requests at first, and its reader waits once in it.

    Better: reading further ahead, so that a record is less than one request and is there before it is asked for.
    Worse: half as far, and two waits for each record. Same: how many requests the disk may have at a time, for one
    process that reads ahead never has as many.

    Counters: `device_reads` and `device_sectors` of the disk.
    """
    with tempfile.TemporaryDirectory(prefix="ebpf-recipe-experiment-") as name:
        folder = Path(name)
        with slow_disk(folder, _READS_PER_SECOND) as disk, mounted(disk, folder / "mounted"):
            file = folder / "mounted" / "records"
            make_file(file, record_reader.RECORDS * record_reader.READS * record_reader.READ_BYTES)
            disk.setting("read_ahead_kb", str(READ_AHEAD_KIB))
            queue = f"/sys/block/{disk.name}/queue"

            def counted() -> dict[str, int]:
                found = counters(disk.name)
                return {"device_reads": found.reads, "device_sectors": found.read_sectors}

            yield Scene(
                recipe="fileslower",
                arguments=("--comm", record_reader.NAME),
                load=_program(record_reader.__name__, str(file)),
                work=f"{record_reader.RECORDS} records",
                better=Change(f"{queue}/read_ahead_kb", "1024"),
                same=Change(f"{queue}/nr_requests", "64"),
                worse=Change(f"{queue}/read_ahead_kb", "64"),
                counted=counted,
            )


@contextlib.contextmanager
def accept_queue() -> Iterator[Scene]:
    """A server whose clients come in bursts of 16, where 11 fit into the queue of its listening socket.

    The kernel lets one more wait than `net.core.somaxconn` says. It drops what comes then, and whoever opens the
    connection tries again after a second. Server and clients are in a network namespace of their own.

    Better: a queue in which a burst fits. Worse: one of 8, in which those fit that come again. Same: how long
    connections that are closed are kept.

    Counters: `opened` connections, and `dropped` ones: TcpActiveOpens, TcpExtListenDrops.
    """
    network = f"ebpf-recipe-experiment-{os.getpid()}-{next(_NUMBERS)}"
    _said(["ip", "netns", "add", network])
    try:
        _said(["ip", "-n", network, "link", "set", "lo", "up"])
        _said(_inside(network, ["sysctl", "-w", f"net.core.somaxconn={LONGEST_QUEUE}"]))

        def counted() -> dict[str, int]:
            # Since the namespace was made: -a; and nothing is kept for another time: -s.
            lines = _said(_inside(network, ["nstat", "-asz", "TcpActiveOpens", "TcpExtListenDrops"]))
            found = {line.split()[0]: int(line.split()[1]) for line in lines.splitlines()[1:]}
            return {"opened": found["TcpActiveOpens"], "dropped": found["TcpExtListenDrops"]}

        yield Scene(
            recipe="tcpconnlat",
            arguments=("--comm", connection_bursts.NAME),
            load=_program(connection_bursts.__name__),
            work=f"{connection_bursts.CONNECTIONS} connections",
            better=Change("net.core.somaxconn", "4096"),
            same=Change("net.ipv4.tcp_fin_timeout", "30"),
            worse=Change("net.core.somaxconn", "7"),
            counted=counted,
            network=network,
        )
    finally:
        _said(["ip", "netns", "delete", network])


SCENES: Mapping[str, Callable[[], contextlib.AbstractContextManager[Scene]]] = {
    one.__name__: one for one in (read_ahead, accept_queue)
}


def _program(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _inside(network: str | None, argv: Sequence[str]) -> list[str]:
    return [*argv] if network is None else ["ip", "netns", "exec", network, *argv]


def _said(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
