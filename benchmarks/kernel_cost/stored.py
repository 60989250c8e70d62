"""docs/cost.json: what was measured of each recipe, when and where; a run over some leaves the others."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.kernel_cost.measuring import Cost, slowdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured of one tool.

    :param kind: recipe, plain, script or libbpf.
    :param release: Of bpftrace; empty for libbpf-tools.
    :param differs: In what its work is not the recipe's.
    :param ns: Nanoseconds of all its programs for an event; None where `why_not` says why there are none.
    :param runs: How often they ran for an event, all of them together.
    :param slowdown: By what part of its time the load took longer.
    :param programs: Probe, runs for an event, nanoseconds of each run.
    :param is_filtered: It was asked for another process than the load.
    :param lost: Lines of output that it lost, by events of the load: what is lost costs less.
    """

    kind: str
    name: str
    release: str
    differs: str
    why_not: str = ""
    ns: float | None = None
    runs: float | None = None
    slowdown: float | None = None
    programs: tuple[tuple[str, float, float], ...] = ()
    is_filtered: bool = False
    lost: float = 0.0


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured for one recipe, in one run.

    :param machine: Kernel and processors, in words; `kernel` is its release as far as the second number.
    :param load: What happened so often, in words.
    """

    recipe: str
    date: str
    machine: str
    kernel: str
    libbpf_tools: str
    event: str
    load: str
    rounds: int
    figures: tuple[Figure, ...]

    def of(self, kind: str, release: str = "") -> list[Figure]:
        """Return the figures of one kind of tools and of one release, without those that are filtered."""
        return [
            each
            for each in self.figures
            if (each.kind, each.release) == (kind, release) and not each.is_filtered
        ]


def figure(cost: Cost, free_ns: int) -> Figure:
    """Return what is kept of a measured tool.

    :param free_ns: How long the load takes without it.
    """
    tool = cost.tool
    if cost.why_not:
        return Figure(
            tool.kind, tool.name, tool.release, tool.differs, cost.why_not, is_filtered=tool.is_filtered
        )
    programs = cost.best.programs
    return Figure(
        tool.kind,
        tool.name,
        tool.release,
        tool.differs,
        ns=round(cost.best.ns, 1),
        runs=round(sum(each.runs for each in programs), 3),
        slowdown=round(slowdown(cost, free_ns), 3),
        programs=tuple((each.probe, round(each.runs, 3), round(each.ns, 1)) for each in programs),
        is_filtered=tool.is_filtered,
        lost=round(cost.best.lost, 3),
    )


def read(path: Path) -> dict[str, Measured]:
    """Return what a file has, by recipe; nothing where there is no such file."""
    if not path.exists():
        return {}
    return {each["recipe"]: _measured(each) for each in json.loads(path.read_text())}


def write(path: Path, measured: Mapping[str, Measured]) -> None:
    """Write all of it."""
    path.write_text(json.dumps([asdict(measured[name]) for name in sorted(measured)], indent=1) + "\n")


def _measured(read: Mapping[str, Any]) -> Measured:
    figures = [
        Figure(**{**each, "programs": tuple(tuple(one) for one in each["programs"])})
        for each in read["figures"]
    ]
    return Measured(**{**read, "figures": tuple(figures)})


def releases(measured: Sequence[Measured]) -> list[str]:
    """Return the releases of bpftrace that were measured, oldest first."""
    found = {each.release for one in measured for each in one.figures if each.release}
    return sorted(found, key=lambda release: [int(part) for part in release.split(".")])
