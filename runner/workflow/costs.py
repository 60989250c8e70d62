"""What recipes will cost, by the rates of their events, and how a budget is shared among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.capture.percent import in_percent
from runner.probe_costs import PROBE_COSTS, STATISTICS_NS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.host.probe_kinds import ProbeKind

INSIDE_NS = 600
"""What a run of one of our programs takes inside, before it is measured: a rough guess. Each run measures its
own (docs/budget.md), and ends where that exceeds its budget."""

LEAST_SECONDS = 2.0
"""Shorter windows say too little to be worth a start of bpftrace."""

SPARE = 3.0
"""A run may take this many times what was predicted before it ends for its cost: the prediction is rough."""


def predicted(
    probes: Iterable[str], rates: Mapping[str, float], cpus: int, *, hertz: int | None = None
) -> float | None:
    """Return what a program costs, as a share of all processors; None where no rate of its events is known.

    :param probes: As `kind:name`, with the kind's long name.
    :param rates: Events per second of tracepoints.
    :param hertz: How often it takes a sample of each processor.
    """
    known = [each for each in dict.fromkeys(probes) if each in rates]
    ns = sum(rates[each] * (PROBE_COSTS[_kind(each)].ns + STATISTICS_NS + INSIDE_NS) for each in known)
    if hertz is not None:
        ns += hertz * cpus * PROBE_COSTS["timer"].ns
    elif not known:
        return None
    return ns / 1e9 / cpus


def _kind(probe: str) -> ProbeKind:
    return "syscall" if probe.startswith("tracepoint:syscalls:") else "tracepoint"


@dataclass(frozen=True, slots=True)
class Share:
    """What a recipe gets of the budget.

    :param seconds: How long its window is; None where it is left out.
    :param limit: What it may cost while it runs, as a share of all processors.
    :param why: Why it is shortened, or left out.
    """

    seconds: float | None
    limit: float
    why: str | None = None


def shared(costs: Sequence[float | None], seconds: float, budget: float) -> list[Share]:
    """Share a budget among recipes that are to run for so long; the cheapest get theirs first.

    A recipe that would exceed what is left has a shorter window, so that it costs no more over the whole
    scan; where that would be too short it is left out.

    :param costs: What each costs while it runs; None where that is not known: its own budget ends it then.
    :param seconds: How long the scan is.
    """
    shares: list[Share | None] = [None] * len(costs)
    used = 0.0
    for place in sorted(range(len(costs)), key=lambda each: costs[each] or 0.0):
        cost = costs[place]
        left = budget - used
        if cost is None or cost <= left:
            shares[place] = Share(seconds, budget)
            used += cost or 0.0
            continue
        affordable = seconds * max(0.0, left) / cost
        if affordable < LEAST_SECONDS:
            why = (
                f"it would take {in_percent(cost)} of all processors, {in_percent(max(0.0, left))} are left "
                f"of the budget"
            )
            shares[place] = Share(None, budget, why)
            continue
        why = (
            f"it would take {in_percent(cost)} of all processors: {affordable:.1f} s in place of {seconds:g} "
            f"s keep it within the {in_percent(left)} that are left of the budget"
        )
        shares[place] = Share(round(affordable, 1), min(1.0, SPARE * cost), why)
        used = budget
    return [each for each in shares if each is not None]
