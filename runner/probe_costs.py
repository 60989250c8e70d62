"""What calling a program costs beside the program itself, by kind of probe; run times do not show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.host.probe_kinds import ProbeKind

MEASURED = "python -m benchmarks.probe_costs"
PUBLISHED = "B. Gregg, BPF Performance Tools (2019), chapter 18"


@dataclass(frozen=True, slots=True)
class ProbeCost:
    """What one run of a program costs around it, in nanoseconds of one processor, rounded upwards.

    :param ns: On most processors.
    :param first_ns: On the first one: bpftrace opens its event of a tracepoint there, which costs more.
    :param source: The command that measured it, or who published its order of magnitude.
    :param is_measured: It was measured by us.
    """

    ns: int
    first_ns: int
    source: str = MEASURED
    is_measured: bool = True

    def mean_ns(self, on_first: float) -> float:
        """Return what a run costs where this share of them is on the first processor."""
        return self.ns + (self.first_ns - self.ns) * on_first


# Measured: medians of the dearest of three bpftrace releases, on Linux 6.18 in a virtual machine on x86_64.
# What is published includes the program.
PROBE_COSTS: dict[ProbeKind, ProbeCost] = {
    "tracepoint": ProbeCost(100, 550),
    "syscall": ProbeCost(150, 500),
    "uprobe": ProbeCost(4500, 4500),
    "uretprobe": ProbeCost(5000, 5000),
    "timer": ProbeCost(5500, 5500),
    "kprobe": ProbeCost(100, 100, PUBLISHED, is_measured=False),
    "kretprobe": ProbeCost(300, 300, PUBLISHED, is_measured=False),
    # Of trampolines and raw tracepoints no figure stands there: they spare what a kprobe has around it.
    "fentry": ProbeCost(100, 100, PUBLISHED, is_measured=False),
    "raw-tracepoint": ProbeCost(100, 100, PUBLISHED, is_measured=False),
}

STATISTICS_NS = 100
"""What counting its run time adds to a run, from the same benchmark."""
