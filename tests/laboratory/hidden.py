"""How many events a machine's kernel may have kept from every BPF program without counting them.

Some virtual machines have a kernel that runs no BPF program while a thread of process 1 runs, which is their host's and
not the user's (`struct bpf_prog_aux` has a member `init_owned` there). An interrupt that falls on such a thread works for
anybody, and what happens in it is in no count of ours; so are switches from such a thread.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from runner.host.btf import VMLINUX

_EXPOSED = re.compile(r"^tracepoint:(?:block|irq|sched|skb|sock|tcp):", re.MULTILINE)

_MOST = 3
"""Events that one such interrupt hid, in each of the cases that were taken apart."""


@cache
def _hides() -> bool:
    return b"\0init_owned\0" in VMLINUX.read_bytes()


@dataclass(frozen=True, slots=True)
class Process1:
    """How often the threads of process 1 got a processor so far, and how long they had it in all."""

    slices: int = 0
    nanoseconds: int = 0

    @classmethod
    def now(cls) -> Self:
        """Return what it got until now; nothing where the kernel hides nothing."""
        slices = nanoseconds = 0
        for thread in Path("/proc/1/task").iterdir() if _hides() else ():
            try:
                ran, _, times = map(int, (thread / "schedstat").read_text().split())
            except OSError:
                continue  # it ended meanwhile
            slices, nanoseconds = slices + times, nanoseconds + ran
        return cls(slices, nanoseconds)

    def since(self, before: Self) -> Self:
        """Return what it got after an earlier reading; threads that ended are forgotten."""
        got = (self.slices - before.slices, self.nanoseconds - before.nanoseconds)
        return type(self)(*(max(0, each) for each in got))


def most_hidden(program: str, slices: int) -> int:
    """Return how many events may have been hidden from a program.

    :param slices: How often threads of process 1 got a processor meanwhile.
    """
    return min(_MOST, slices) if _EXPOSED.search(program) else 0
