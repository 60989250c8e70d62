"""What a capture can be held for: which of its problems say nothing of a number, and how wide others make it.

The one table of what each problem of a capture does to a condition; docs/gates.md repeats it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from runner.capture.quality import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.capture.document import Capture, EndedBy, Table, Window

Effect = Literal["none", "marked", "keys", "counted", "lost", "unfit"]
"""What a problem does to a condition.

`none`: tables are not concerned. `marked`: the rows that it concerns are marked, and may be of any key.
`keys`: a condition that names keys decides nothing. `counted`: so many events are missing, or counted in the
wrong place. `lost`: nobody knows how many are missing. `unfit`: no condition decides anything.
"""

EFFECTS: Mapping[str, Effect] = {
    "output-incomplete": "unfit",
    "probes-not-attached": "unfit",
    "probes-missing": "unfit",
    "output-limit": "unfit",
    "map-full": "lost",
    "lost-events": "none",
    "events-missing": "none",
    "events-damaged": "none",
    "rows-damaged": "marked",
    "spaces-lost": "marked",
    "parentheses-lost": "keys",
    "rows-ambiguous": "marked",
    "lines-unreadable": "unfit",
    "output-unrecognized": "unfit",
    "output-cut": "unfit",
    "release-unclear": "unfit",
    "release-unproven": "none",
    "missed-events": "counted",
    "ends-missed": "lost",
    "returns-missed": "lost",
    "samples-dropped": "lost",
    "ticks-missing": "unfit",
    "strings-cut": "keys",
    "stacks-cut": "none",
    "stacks-lost": "none",
    "helper-errors": "unfit",
    "first-counts-lost": "counted",
    "map-unprinted": "unfit",
    "target-gone": "unfit",
    "cgroups-unnamed": "keys",
    "pod-incomplete": "unfit",
    "runtime-errors": "unfit",
    "workload-failed": "unfit",
    "work-unreadable": "none",
    "tracer-stopped": "unfit",
    "runner-stalled": "unfit",
    "ended-early": "unfit",
    "over-budget": "unfit",
    "repaired": "none",
}

CUT_SHORT: Mapping[EndedBy | None, str] = {
    "interrupt": "a signal ended the window before its time",
    "limit": "the window ended at a limit, before its time or behind it",
    "crash": "bpftrace ended by itself",
    "target": "what the run was asked for ended before the window did",
    "budget": "the budget ended the window before its time",
}
"""What ended a window otherwise than it was meant to."""

OTHER_LOAD = "the command failed: this is not the load that was meant"


@dataclass(frozen=True, slots=True)
class Doubt:
    """Events that may be elsewhere than where a table has them.

    :param lost: At most so many are in no row; None where nobody knows.
    :param moved: At most so many of those that are in a row would be in another, or in none.
    :param why: The problems that say so.
    """

    lost: int | None = 0
    moved: int = 0
    why: tuple[str, ...] = ()

    def with_lost(self, count: int, why: str) -> Doubt:
        """Return the same with so many more that may be missing."""
        lost = None if self.lost is None else self.lost + count
        return Doubt(lost, self.moved, (*self.why, why))


def why_unfit(capture: Capture, *, has_keys: bool) -> str | None:
    """Return why no condition may be decided by a capture; None where it may.

    :param has_keys: The condition names keys.
    """
    window = capture["window"]
    if window["ended_by"] in CUT_SHORT:
        return CUT_SHORT[window["ended_by"]]
    if is_other_load(window):
        return OTHER_LOAD
    # A window among others has no end of its own: the next one goes on.
    if window["ended_by"] is None and "index" not in window:
        return "it is not known what ended the window"
    return why_no_measurement(capture, has_keys=has_keys)


def is_other_load(window: Window) -> bool:
    """Whether the command of a run did not do what it was to do: nothing says that it ended well."""
    workload = window.get("workload")
    return workload is not None and workload["exit_code"] != 0 and "ended" not in workload


def why_no_measurement(capture: Capture, *, has_keys: bool) -> str | None:
    """Return why a capture's numbers are none, whatever ended its window; None where they are."""
    for problem in capture["quality"]["problems"]:
        effect = _effect(problem["code"])
        if effect == "unfit" or (effect == "keys" and has_keys):
            return f"{problem['code']}: {problem['detail']}"
    return "the capture is void" if capture["quality"]["grade"] == "void" else None


def doubt_of(capture: Capture, *, has_room: bool) -> Doubt:
    """Return what the problems of a capture leave open of the numbers of its tables.

    :param has_room: What is read has one row, for which there always is room.
    """
    lost: int | None = 0
    moved = 0
    why = []
    is_all_told = has_room and _is_in_totals(capture)
    for problem in capture["quality"]["problems"]:
        effect = _effect(problem["code"])
        if effect not in ("counted", "lost"):
            continue
        if problem["code"] == "map-full" and has_room and is_all_told:
            continue
        why.append(f"{problem['code']}: {problem['detail']}")
        if effect == "lost" or problem["count"] is None:
            lost = None
        else:
            lost = None if lost is None else lost + problem["count"]
            # A probe that was not run may have been the beginning or the end of something that is counted.
            moved += problem["count"] if problem["code"] == "missed-events" else 0
    return Doubt(lost, moved, tuple(why))


def _is_in_totals(capture: Capture) -> bool:
    """Whether all that found no room in a map is in tables without keys that count it too (`total_of`)."""
    told = [each["count"] for each in capture["quality"]["problems"] if each["code"] == "map-full"]
    tables = {table["name"]: table for table in capture["tables"]}
    missing = 0
    for table in capture["tables"]:
        counted = tables.get(table["total_of"]) if "total_of" in table else None
        if counted is not None:
            missing += events_in(table) - events_in(counted)
    return None not in told and sum(count or 0 for count in told) == missing


def events_in(table: Table) -> int:
    """Return how many events a table counted, of kinds that count some."""
    rows: Sequence[Any] = table["rows"]
    return sum(row["value"] if "value" in row else row["count"] for row in rows)


def _effect(code: str) -> Effect:
    """Return the effect of a problem; of one that a later release found, that its rule would have."""
    if code in EFFECTS:
        return EFFECTS[code]
    return "none" if code in RULES and RULES[code].grade == "usable" else "unfit"
