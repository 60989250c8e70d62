"""Measured costs in order: newest release first, the cheapest recipe first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.recipe.model_cost import MeasuredCost


@dataclass(frozen=True, slots=True)
class Cost:
    """What `model_cost.MeasuredCost` says, for those that do without the model."""

    bpftrace: str
    kernel: str
    event: str
    ns: int
    slowdown: float | None


def newest_first(measured: Iterable[MeasuredCost]) -> list[MeasuredCost]:
    """Return costs by release of bpftrace, then of the kernel, the newest first."""
    return sorted(measured, key=lambda each: _releases(each.bpftrace, each.kernel), reverse=True)


def newest(costs: Iterable[Cost]) -> Cost | None:
    """Return the cost with the newest bpftrace, on the newest kernel there; None of none."""
    return max(costs, key=lambda each: _releases(each.bpftrace, each.kernel), default=None)


def cheapest_first(cost: Cost | None) -> tuple[bool, int]:
    """Return what to sort by: nanoseconds per event, what was not measured last."""
    return cost is None, 0 if cost is None else cost.ns


def _releases(bpftrace: str, kernel: str) -> tuple[list[int], list[int]]:
    """Return both as numbers: 0.9.0 is older than 0.27.1."""
    return [int(part) for part in bpftrace.split(".")], [int(part) for part in kernel.split(".")]
