"""Cost of tools under one load: run times that the kernel counts, and how much longer the load takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.kernel_cost.tracing import NotMeasured, tracing
from runner.host import bpf
from tests.laboratory.machine import has_kprobes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from benchmarks.kernel_cost.loads import Done, Load
    from benchmarks.kernel_cost.tools import Tool

_TIMES = 2
"""How often the load is timed in each turn, with the tool and without it."""


@dataclass(frozen=True, slots=True)
class ProgramCost:
    """One program of a tool.

    :param probe: What it is attached to, as far as the kernel says so.
    :param runs: How often it ran for an event of the load, and `ns` how long each time.
    """

    probe: str
    runs: float
    ns: float


@dataclass(frozen=True, slots=True)
class Turn:
    """One start of a tool.

    :param programs: Those of its programs that ran.
    :param free_ns: How long the load took before the tool was there, and `traced_ns` with it.
    :param lost: Lines of output that it says it lost, by events of the load.
    """

    programs: tuple[ProgramCost, ...]
    free_ns: int
    traced_ns: int
    lost: float = 0.0

    @property
    def ns(self) -> float:
        """Return the nanoseconds of all programs for an event."""
        return sum(each.runs * each.ns for each in self.programs)


@dataclass(slots=True)
class Cost:
    """What was measured of a tool; `why_not` where nothing was."""

    tool: Tool
    turns: list[Turn] = field(default_factory=list)
    why_not: str = ""

    @property
    def best(self) -> Turn:
        """Return the cheapest turn: whatever else runs on the machine makes it dearer only."""
        return min(self.turns, key=lambda turn: turn.ns)


def shortest_free_ns(costs: Iterable[Cost]) -> int:
    """Return the shortest time that the load took without any of these tools; 0 where none was measured."""
    return min((turn.free_ns for cost in costs for turn in cost.turns), default=0)


def slowdown(cost: Cost, free_ns: int) -> float:
    """Return by what part of its time the load took longer: both times the shortest, see `Cost.best`."""
    return min(turn.traced_ns for turn in cost.turns) / free_ns - 1


def measure(tools: Iterable[Tool], load: Load, program: Path, folder: Path, rounds: int) -> list[Cost]:
    """Measure tools in turn, so that what changes on the machine meanwhile changes all of them.

    :param program: The load's, and `folder` for what tools say.
    :returns: In the order of the tools.
    """
    costs = [Cost(tool) for tool in tools]
    for _ in range(rounds):
        for cost in costs:
            if not cost.why_not:
                try:
                    cost.turns.append(_turn(cost.tool, load, program, folder))
                except NotMeasured as reason:
                    cost.why_not = _shown(cost.tool, str(reason))
    return costs


def _turn(tool: Tool, load: Load, program: Path, folder: Path) -> Turn:
    free = _shortest(load, program)
    with tracing(tool, folder) as trace:
        pid = trace.pid
        traced = _shortest(load, program)
        with bpf.run_time_statistics():
            descriptors = bpf.program_descriptors(pid)
            before = _now(pid, descriptors)
            counted = load.run(program)
            after = _now(pid, descriptors)
        names = bpf.probe_names(pid)
    programs = []
    for old, new in zip(before, after, strict=True):
        runs, ns = new.runs - old.runs, new.run_ns - old.run_ns
        if runs:
            programs.append(ProgramCost(names.get(new.identity, ""), runs / counted.events, ns / runs))
    if not programs:
        raise NotMeasured("none of its programs ran")
    return Turn(tuple(programs), free.ns, traced.ns, trace.lost / (_TIMES * traced.events + counted.events))


def _shortest(load: Load, program: Path) -> Done:
    return min((load.run(program) for _ in range(_TIMES)), key=lambda done: done.ns)


def _now(pid: int, descriptors: Sequence[str]) -> list[bpf.ProgramStatistics]:
    return [bpf.program_statistics(pid, each) for each in descriptors]


def _shown(tool: Tool, reason: str) -> str:
    """Return a reason in few words, where it is one that we know."""
    if not has_kprobes() and (tool.uses_kprobes or "kprobe" in reason):
        return "needs kprobes"
    return reason
