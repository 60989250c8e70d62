"""Loads of a known number of events (load.c), on a processor of their own."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.host import kernel
from tests.laboratory.disk import disk

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOURCE = Path(__file__).with_name("load.c")
_MEMORY = Path("/dev/shm")  # noqa: S108
"""A file system in memory (tmpfs): no disk's own time is in a request."""
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Done:
    """One load that ran: how many events it made, and how long they took."""

    events: float
    ns: int


@dataclass(frozen=True, slots=True)
class Load:
    """A load.

    :param word: What load.c calls it, and `times` how often it does it.
    :param event: What that is, in words; `text` says more.
    :param before: A command that runs it, such as one that makes a network for it.
    :param hertz: Where the events are samples of the clock: how many a second each processor has.
    """

    word: str
    event: str
    times: int
    text: str
    argument: str = ""
    before: tuple[str, ...] = ()
    hertz: int | None = None

    def run(self, program: Path) -> Done:
        """Run it to its end, on the last processor.

        On the first one a tracepoint costs more: bpftrace's event of it is open there alone
        (`benchmarks/probe_costs.py`).

        :raises subprocess.CalledProcessError: It failed.
        """
        cpu = str(max(os.sched_getaffinity(0)))
        words = [str(program), self.word, str(self.times), self.argument]
        argv = [*self.before, "taskset", "--cpu-list", cpu, *words]
        said = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout
        events, ns = map(int, said.split())
        return Done(events if self.hertz is None else self.hertz * kernel.cpus_online() * ns / 1e9, ns)


def built(folder: Path) -> Path:
    """Compile the load into a folder."""
    path = folder / "load"
    subprocess.run(["gcc", "-O1", "-Wall", "-pthread", "-o", path, _SOURCE], check=True)
    return path


@contextlib.contextmanager
def prepared(load: Load, folder: Path) -> Iterator[Load]:
    """Raise what a load works on, until the end of the block; return the load with it."""
    if load.word == "read-device":
        with disk(_MEMORY) as one:
            yield replace(load, argument=one.path)
        return
    if load.word in {"open", "read-file"}:
        path = folder / "data"
        path.write_bytes(bytes(_BLOCK))
        load = replace(load, argument=str(path))
    yield load


_FIREWALL = 'ip link set lo up; iptables-legacy -A OUTPUT -p udp -j DROP; exec "$@"'

LOADS = {
    each.word: each
    for each in (
        Load("wake", "wake-up", 200_000, "two threads of one processor that wake each other by pipes"),
        Load("call", "system call", 500_000, "getppid()"),
        Load("function", "call", 200_000, "calls of a function that computes for about a microsecond"),
        Load("spin", "sample", 4_000_000, "computing; 999 samples a second and processor", hertz=999),
        Load("open", "open", 10_000, "openat() and close() of one file"),
        Load("read-file", "read", 300_000, "pread() of 4 KiB that lie in the page cache"),
        Load("fork", "process", 2_000, "fork(), and waiting for its end"),
        Load("start", "program", 1_000, "posix_spawn(), and waiting for its end"),
        Load("datagram", "soft interrupt", 100_000, "datagrams over the loopback device"),
        Load("connect", "connection", 10_000, "connect() and accept() over loopback, ended by a reset"),
        Load("transfer", "send or receive", 200_000, "send() and recv() of a byte over loopback"),
        Load("read-device", "request", 64_000, "direct reads of 4 KiB, 32 under way, from memory"),
        Load(
            "dropped", "packet", 100_000, "datagrams that a firewall's rule drops as they are sent",
            before=("unshare", "--net", "sh", "-c", _FIREWALL, "sh"),
        ),
    )
}  # fmt: skip
"""By their word."""
