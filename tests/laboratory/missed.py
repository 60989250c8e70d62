"""How many events a capture says are missing in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MISSING = ("missed-events", "ends-missed", "first-counts-lost")
"""Problems that say how many events are missing."""


def missed(capture: Mapping[str, Any]) -> int:
    """Return how many events the kernel left out because another BPF program ran there or for reasons of its own, or
    whose rows bpftrace lost, by a capture (as JSON).
    """
    problems = capture["quality"]["problems"]
    return sum(problem["count"] for problem in problems if problem["code"] in MISSING)
