"""What calling a program costs beside the program itself, by kind of probe; run times do not show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.host.probe_kinds import ProbeKind

MEASURED = "python -m benchmarks.probe_costs"
PUBLISHED = "https://github.com/iopsystems/rezolus/pull/1155"
"""By others, around tcp_sendmsg() of Linux 6.12: 109.7 ns a kprobe, 48.4 ns an fentry, programs included."""


@dataclass(frozen=True, slots=True)
class ProbeCost:
    """What one run of a program costs around it, in nanoseconds of one processor, rounded upwards.

    :param ns: On most processors.
    :param first_ns: On the first one: bpftrace opens its event of a tracepoint there, which costs more.
    :param source: The command that measured it, or who published it, or from what it is taken.
    """

    ns: int
    first_ns: int
    source: str = MEASURED

    def mean_ns(self, on_first: float) -> float:
        """Return what a run costs where this share of them is on the first processor."""
        return self.ns + (self.first_ns - self.ns) * on_first


# Measured: medians of the dearest of three bpftrace releases, on Linux 6.18 in a virtual machine on x86_64.
PROBE_COSTS: dict[ProbeKind, ProbeCost] = {
    "tracepoint": ProbeCost(100, 550),
    "syscall": ProbeCost(150, 500),
    "uprobe": ProbeCost(4500, 4500),
    "uretprobe": ProbeCost(5000, 5000),
    "timer": ProbeCost(5500, 5500),
    "kprobe": ProbeCost(150, 150, PUBLISHED),
    "kretprobe": ProbeCost(300, 300, "twice a kprobe: at the entry and at the return"),
    "fentry": ProbeCost(50, 50, PUBLISHED),
    "raw-tracepoint": ProbeCost(100, 100, "a tracepoint's, which does more"),
}

STATISTICS_NS = 100
"""What counting its run time adds to a run, from the same benchmark."""
