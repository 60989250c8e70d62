"""What a capture says of a statistic of one of its tables: bounds, as narrow as what is known allows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from runner.capture.bounds import Bound, Measure, Unmeasured
from runner.capture.condition import ABOVE
from runner.capture.condition_check import shape_of, unit_of
from runner.capture.distribution import joined_buckets, quantile, share_above
from runner.capture.evidence import Doubt, doubt_of, events_in
from runner.capture.quantiles import mean_bounds
from runner.capture.selection import Selection, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.condition import Subject
    from runner.capture.document import Capture, Table

_IN_DOUBT = "rows whose keys are not known may be meant too"


def measure(subject: Subject, capture: Capture) -> Measure | Unmeasured:
    """Return the bounds of a statistic, or why there are none.

    :param subject: Held against the capture's tables before (`check_condition`).
    """
    table = next((each for each in capture["tables"] if each["name"] == subject.table), None)
    if table is None:
        return Unmeasured(f"the capture has no table {subject.table}")
    selection = select(table, subject.keys)
    if any({"value", "buckets"} & set(row.get("ambiguous", ())) for row in selection.rows):
        return Unmeasured(f"numbers of {subject.table} can be read in more than one way")
    shape = shape_of(table)
    unit = unit_of(subject.statistic, shape) or ""
    if subject.statistic in ("total", "count"):
        amount = _amount(subject.statistic, capture, table, selection, subject)
        return Measure(amount.lower, amount.upper, unit, amount.why)
    if subject.statistic == "rate":
        # Of a table of counts or sums its total; of a histogram its events.
        statistic = "count" if table["kind"] == "histogram" else "total"
        return _per_second(_amount(statistic, capture, table, selection, subject), unit, capture, table)
    doubt = _with_possible(doubt_of(capture, has_room=False), selection.possible)
    if table["kind"] in ("min", "max"):
        values = [row["value"] for row in selection.rows]
        return _extreme(subject.statistic, values, unit, doubt)
    if table["kind"] == "stats":
        return _mean_of_stats(selection.rows, unit, doubt)
    if not any(row["count"] for row in selection.rows):
        return Unmeasured(f"there were no events in {subject.table}{_of_keys(subject)}")
    if subject.statistic == ABOVE:
        assert subject.threshold is not None
        return share_above(subject, subject.threshold, capture, table, selection, doubt)
    buckets = joined_buckets(selection.rows)
    if buckets is None:
        return Unmeasured(f"the histograms of {subject.table} have different buckets")
    if subject.statistic == "mean":
        if doubt != Doubt():
            return Measure(None, None, unit, doubt.why)
        means = mean_bounds(buckets)
        assert means is not None
        return Measure(*means, unit)
    return quantile(subject.statistic, buckets, unit, doubt)


def _of_keys(subject: Subject) -> str:
    return f"{{{','.join(map(str, subject.keys))}}}" if subject.keys else ""


def _with_possible(doubt: Doubt, possible: Sequence[Any]) -> Doubt:
    """Return the doubt with the events of rows that may be meant."""
    events = sum(row["count"] for row in possible if "count" in row)
    return doubt.with_lost(events, _IN_DOUBT) if events else doubt


@dataclass(frozen=True, slots=True)
class _Amount:
    """What was counted or added up, between bounds."""

    lower: Bound
    upper: Bound
    why: tuple[str, ...]


def _amount(
    statistic: str, capture: Capture, table: Table, selection: Selection, subject: Subject
) -> _Amount:
    name = "value" if table["kind"] in ("count", "sum") else statistic
    lower = sum(row[name] for row in selection.rows)
    upper = lower + sum(row[name] for row in selection.possible)
    is_count = table["kind"] == "count" or statistic == "count"
    has_room = table["kind"] == "count" and not table["keys"]
    if is_count and not subject.keys:
        whole = [each for each in capture["tables"] if each.get("total_of") == table["name"]]
        for each in whole:
            # Rows that a full map had no room for are in there.
            lower = upper = max(lower, events_in(each))
            has_room = True
    doubt = doubt_of(capture, has_room=has_room)
    why = doubt.why
    if selection.possible:
        why = (*why, _IN_DOUBT)
    if is_count:
        least = max(0, lower - doubt.moved)
        most = None if doubt.lost is None else upper + doubt.lost + doubt.moved
    else:
        # What an event that is missing, or elsewhere, would have added is not known: it may be negative
        # where others are.
        is_signed = any(row[name] < 0 for row in (*selection.rows, *selection.possible))
        least = None if doubt.moved or (is_signed and doubt.lost != 0) else lower
        most = None if doubt.moved or doubt.lost != 0 else upper
    return _Amount(_exact(least), _exact(most), why)


def _per_second(amount: _Amount, unit: str, capture: Capture, table: Table) -> Measure | Unmeasured:
    seconds = seconds_of(capture, table)
    if seconds is None:
        return Unmeasured("it is not known how long the window was")
    lower = None if amount.lower is None else amount.lower / seconds
    upper = None if amount.upper is None else amount.upper / seconds
    return Measure(lower, upper, f"{unit}/s", amount.why)


def _exact(number: int | None) -> Bound:
    return None if number is None else Fraction(number)


def _extreme(statistic: str, values: Sequence[int], unit: str, doubt: Doubt) -> Measure | Unmeasured:
    if not values:
        return Unmeasured("there were no events")
    if doubt.moved:
        return Measure(None, None, unit, doubt.why)
    found = Fraction(min(values) if statistic == "min" else max(values))
    is_open = doubt.lost != 0
    lower = None if is_open and statistic == "min" else found
    upper = None if is_open and statistic == "max" else found
    return Measure(lower, upper, unit, doubt.why)


def _mean_of_stats(rows: Sequence[Any], unit: str, doubt: Doubt) -> Measure | Unmeasured:
    count = sum(row["count"] for row in rows)
    if count == 0:
        return Unmeasured("there were no events")
    if doubt != Doubt():
        return Measure(None, None, unit, doubt.why)
    mean = Fraction(sum(row["total"] for row in rows), count)
    return Measure(mean, mean, unit)


def seconds_of(capture: Capture, table: Table) -> Fraction | None:
    """Return how long a table counted, in seconds: of windows each has its own time; None where not known."""
    if "since" in table and "until" in table:
        since, until = (datetime.fromisoformat(table[name]) for name in ("since", "until"))
        seconds = Fraction(math.floor((until - since).total_seconds() * 1_000_000), 1_000_000)
    else:
        duration = capture["window"]["duration_seconds"]
        seconds = Fraction(0) if duration is None else Fraction(str(duration))
    return seconds if seconds > 0 else None
