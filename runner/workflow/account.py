"""Where the time of the target's threads went: the parts, between bounds, and what is not explained.

It is no sum of quantiles: what is added up is time of threads in one window, as the recipe `thread-time`
has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.capture.evidence import doubt_of, why_unfit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.capture.document import Capture
    from runner.workflow.documents import Account, Part, PlannedStep

RECIPE, TABLE = "thread-time", "time"

BUSY = ("running", "queued", "disk", "blocked")
"""States in which a thread works, or waits for something that it cannot do without."""

DOUBTFUL = ("lock", "network")
"""States that are a wait for somebody, or idleness: which, the kernel cannot tell."""

IDLE = ("event",)
UNEXPLAINED = ("other", "earlier")

_NS = 1e9


def account_of(step: PlannedStep, capture: Capture) -> Account | None:
    """Return the account of a capture of `thread-time`; None where there is no time in it."""
    table = next((each for each in capture["tables"] if each["name"] == TABLE), None)
    if table is None or why_unfit(capture, has_keys=False) is not None:
        return None
    if table["kind"] != "stats" or "state" not in {column["name"] for column in table["keys"]}:
        return None  # of another release
    spent: dict[str, int] = {}
    rows: list[Any] = [*table["rows"]]
    for row in rows:
        state = str(row["key"]["state"])
        spent[state] = spent.get(state, 0) + row["total"]
    if not spent:
        return None
    certain = sum(spent.get(state, 0) for state in BUSY)
    most = certain + sum(spent.get(state, 0) for state in DOUBTFUL)
    throttled = _throttled(capture)
    queued = spent.get("queued", 0) / _NS
    return {
        "capture": step["name"],
        "window_seconds": capture["window"]["duration_seconds"],
        "busy_seconds": [certain / _NS, most / _NS],
        "parts": _parts(spent, certain, most),
        "throttled": [0.0, None if throttled is None else min(queued, throttled)],
        "unexplained_seconds": sum(spent.get(state, 0) for state in UNEXPLAINED) / _NS,
        "idle_seconds": sum(spent.get(state, 0) for state in IDLE) / _NS,
        "notes": [*doubt_of(capture, has_room=False).why],
    }


WORTH_A_LOOK = 0.25
"""A part of the time from this share on speaks for what it is a part of: it is not enough to show that it is
what makes a tail, for the longest waits decide that."""

LEAST_BUSY = 0.05
"""And no sooner than the threads were at work, or kept from it, for such a share of the window."""


def stands_out(account: Account | None, parts: Sequence[str]) -> float | None:
    """Return the share of the busy time that some parts took at least, where that is worth a look."""
    if account is None or not parts or account["window_seconds"] is None:
        return None
    share = least_share(account, parts)
    is_busy = account["busy_seconds"][0] >= LEAST_BUSY * account["window_seconds"]
    return share if is_busy and share >= WORTH_A_LOOK else None


def least_share(account: Account | None, parts: Sequence[str]) -> float:
    """Return the share of the busy time that some parts took at least; 0 where that is not known."""
    if account is None:
        return 0.0
    return sum(each["share"][0] or 0.0 for each in account["parts"] if each["part"] in parts)


def _parts(spent: Mapping[str, int], certain: int, most: int) -> list[Part]:
    parts: list[Part] = []
    for state in (*BUSY, *DOUBTFUL):
        time = spent.get(state, 0)
        if not time:
            continue
        if state in BUSY:
            bounds: list[float | None] = [time / most, time / certain]
        else:
            bounds = [0.0, time / (certain + time)]
        parts.append({"part": state, "seconds": time / _NS, "share": bounds})
    return sorted(parts, key=lambda each: (-(each["share"][0] or 0.0), -each["seconds"]))


def _throttled(capture: Capture) -> float | None:
    """Return for how many seconds CPU limits held the groups of the target back; None: it was not read."""
    found = [each for each in capture["companions"] if each["name"] == "cpu_throttled_time"]
    rises = [
        (each["after"] - each["before"]) * (1e-9 if each["unit"] == "ns" else 1e-6)
        for each in found
        if each["after"] is not None and each["before"] is not None
    ]
    return max(0.0, sum(rises)) if rises else None
