"""Measured costs: what one may be, and their order: newest release first, the cheapest recipe first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.recipe.model_cost import MeasuredCost


RELEASE = r"^(0|[1-9][0-9]{0,4})(\.(0|[1-9][0-9]{0,4})){2}$"
KERNEL = r"^(0|[1-9][0-9]{0,4})\.(0|[1-9][0-9]{0,4})$"
EVENT = r"^[A-Za-z][A-Za-z -]{0,19}$"
MOST_NS = 1_000_000_000
LEAST_SLOWDOWN, MOST_SLOWDOWN = -0.5, 1000.0
"""What the members of a cost may be; `$` of a pattern is the end of the text."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What `model_cost.MeasuredCost` says, for those that do without the model."""

    bpftrace: str
    kernel: str
    event: str
    ns: int
    slowdown: float | None


def check_costs(costs: Sequence[Cost]) -> None:
    """Check what the model checks of measured costs, for those that do without it.

    :raises ValueError: There is something that it refuses.
    """
    for cost in costs:
        named = ((RELEASE, cost.bpftrace), (KERNEL, cost.kernel), (EVENT, cost.event))
        is_named = all(isinstance(text, str) and re.fullmatch(pattern, text) for pattern, text in named)
        is_counted = type(cost.ns) is int and 1 <= cost.ns <= MOST_NS
        slowdown = 0.0 if cost.slowdown is None else cost.slowdown
        is_timed = type(slowdown) in (int, float) and LEAST_SLOWDOWN < slowdown <= MOST_SLOWDOWN
        if not (is_named and is_counted and is_timed):
            raise ValueError(cost)
    if (
        len({(cost.bpftrace, cost.kernel) for cost in costs}) < len(costs)
        or len({c.event for c in costs}) > 1
    ):
        raise ValueError(costs)


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
