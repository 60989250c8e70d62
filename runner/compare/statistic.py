"""From a table of a capture to the one number of its run that is compared: a share, a mean log2, a rate.

Each takes rows of one table: all of them, or those of one key.
"""

from __future__ import annotations

import functools
import math
from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.document import Bucket, Capture, Table

_COUNTED = frozenset({"count", "sum", "stats", "histogram"})


def share_above(
    rows: Sequence[Any], threshold: int, *, slow: int | None = None
) -> tuple[Fraction, Fraction] | None:
    """Return the least and the greatest share of events whose value is the threshold or more.

    They are equal where the program counted those events (`slow`), or a bucket begins at the threshold. Where
    it lies inside a bucket they are the shares above that bucket's two ends.

    :param rows: Of a histogram.
    :param threshold: In the table's unit.
    :param slow: How many events the program itself counted above the same threshold.
    :returns: None where there are no events.
    :raises ValueRefused: More events were above the threshold than there were.
    """
    count = sum(row["count"] for row in rows)
    if count == 0:
        return None
    if slow is not None:
        if not 0 <= slow <= count:
            raise ValueRefused(
                f"{slow} of {count} events cannot lie above {threshold}: the two tables count other events"
            )
        return Fraction(slow, count), Fraction(slow, count)
    least = most = 0
    for row in rows:
        one, other = count_above(row["buckets"], threshold)
        least, most = least + one, most + other
    return Fraction(least, count), Fraction(most, count)


def count_above(buckets: Sequence[Bucket], threshold: int) -> tuple[int, int]:
    """Return the least and the greatest number of events whose value is the threshold or more."""
    least = most = 0
    for bucket in buckets:
        if bucket["lower"] is not None and bucket["lower"] >= threshold:
            least += bucket["count"]
            most += bucket["count"]
        elif bucket["upper"] is None or bucket["upper"] >= threshold:
            most += bucket["count"]
    return least, most


def mean_log2(rows: Sequence[Any]) -> float | None:
    """Return the mean log2 of the events' values, each taken for the middle of its bucket on that scale.

    A change of all values by one factor moves it by the log2 of the factor, wherever they lie; 2 to its
    power is their geometric mean. A bucket [lower, upper] holds what lies from lower up to upper + 1, for
    the kernel cuts to whole units; the middle of one that begins at zero is its arithmetic one.

    :param rows: Of a histogram.
    :returns: In octaves; None where there are no events.
    :raises ValueRefused: A bucket with events is open, or below zero: it has no middle.
    """
    count = 0
    total = 0.0
    for row in rows:
        for bucket in row["buckets"]:
            count += bucket["count"]
            total += bucket["count"] * _middle(bucket["lower"], bucket["upper"])
    return total / count if count else None


@functools.lru_cache(maxsize=4096)
def _middle(lower: int | None, upper: int | None) -> float:
    if lower is None or upper is None or lower < 0:
        raise ValueRefused(
            f"the bucket from {'-∞' if lower is None else lower} to {'∞' if upper is None else upper} has no "
            "logarithm",
            hint="compare the share above a threshold instead",
        )
    if lower == 0:
        return math.log2((upper + 1) / 2)
    return (math.log2(lower) + math.log2(upper + 1)) / 2


def amount(table: Table, rows: Sequence[Any]) -> int:
    """Return how much a table counted: events of a count, stats or histogram; of a sum, its unit.

    :raises ValueRefused: Its kind does not add up.
    """
    if table["kind"] not in _COUNTED:
        raise ValueRefused(
            f"{table['name']} is of kind {table['kind']}, which does not add up",
            hint=f"{', '.join(sorted(_COUNTED))} do",
        )
    return sum(row["value"] if "value" in row else row["count"] for row in rows)


def rate(capture: Capture, table: Table, rows: Sequence[Any]) -> Fraction | None:
    """Return how much a table counted per second of its own window; None where that is not known."""
    lasted = seconds(capture, table)
    return Fraction(amount(table, rows)) / lasted if lasted else None


def per_work(table: Table, rows: Sequence[Any], work: int) -> Fraction | None:
    """Return how much a table counted per unit of work that was done meanwhile; None where none was."""
    return Fraction(amount(table, rows), work) if work > 0 else None


def seconds(capture: Capture, table: Table) -> Fraction | None:
    """Return how long a table counted: from its own readings, else the window of its capture (seconds)."""
    if "since" in table and "until" in table:
        lasted = datetime.fromisoformat(table["until"]) - datetime.fromisoformat(table["since"])
        exact = Fraction(lasted.days * 86_400 + lasted.seconds) + Fraction(lasted.microseconds, 1_000_000)
    else:
        known = capture["window"]["duration_seconds"]
        if known is None:
            return None
        exact = Fraction(known)
    return exact if exact > 0 else None
