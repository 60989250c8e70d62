"""What histograms say of a share above a threshold and of quantiles, with events that may be elsewhere."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

from runner.capture.amount_units import in_unit, is_time
from runner.capture.bounds import Measure
from runner.capture.condition import parse_amount
from runner.capture.quantiles import LEAST_BEYOND, quantiles
from runner.capture.rows import buckets_of
from runner.capture.selection import Selection, select
from runner.errors import NotParsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.capture.buckets import BucketBounds
    from runner.capture.condition import Amount, Subject
    from runner.capture.document import Bucket, Capture, Table
    from runner.capture.evidence import Doubt


def share_above(
    subject: Subject,
    threshold: Amount,
    capture: Capture,
    table: Table,
    selection: Selection,
    doubt: Doubt,
) -> Measure:
    """Return the share of events that are as large as the threshold: counted, or what the buckets tell."""
    count = sum(row["count"] for row in selection.rows)
    counted = counted_above(subject, threshold, capture, table)
    why = doubt.why
    if counted is not None:
        certain, possible = counted, 0
    else:
        limit = in_unit(threshold.number, threshold.unit, table["unit"])
        assert limit is not None
        certain, possible = count_above(
            (bucket for row in selection.rows for bucket in row["buckets"]),
            limit,
            is_cut=is_time(table["unit"]),
        )
        if possible:
            why = (*why, f"{threshold} is in the middle of a bucket with {possible} events")
    if doubt.lost is None:
        return Measure(None, None, "ratio", why)
    whole = count + doubt.lost
    least = Fraction(min(whole, max(0, certain - doubt.moved)), whole)
    most = Fraction(min(whole, certain + possible + doubt.moved + doubt.lost), whole)
    return Measure(least, most, "ratio", why)


def counted_above(subject: Subject, threshold: Amount, capture: Capture, table: Table) -> int | None:
    """Return how many events the program counted at the threshold and above; None where it did not."""
    for other in capture["tables"]:
        pair = other.get("above_of")
        if pair is None or pair["table"] != table["name"]:
            continue
        given = capture["parameters"].get(pair["parameter"])
        names = {column["name"] for column in other["keys"]}
        if not isinstance(given, str) or not names >= {key.name for key in subject.keys}:
            continue
        try:
            own = parse_amount(given)
        except NotParsed:
            continue
        limits = [in_unit(each.number, each.unit, "ns") for each in (own, threshold)]
        if limits[0] is not None and limits[0] == limits[1]:
            return int(sum(row["value"] for row in select(other, subject.keys).rows))
    return None


def count_above(buckets: Iterable[Bucket], limit: Fraction, *, is_cut: bool) -> tuple[int, int]:
    """Return how many events are certainly as large as a limit, and of how many more that is not known.

    :param is_cut: What is below one unit was cut off: 10 stands for all that is less than 11.
    """
    certain = possible = 0
    for bucket in buckets:
        lower, upper = bucket["lower"], bucket["upper"]
        if lower is not None and lower >= limit:
            certain += bucket["count"]
        elif upper is None or (upper + 1 > limit if is_cut else upper >= limit):
            possible += bucket["count"]
    return certain, possible


def joined_buckets(rows: Sequence[Any]) -> list[Bucket] | None:
    """Return the buckets of all rows together; None where they are cut in different ways."""
    counts: dict[BucketBounds, int] = {}
    for row in rows:
        for bucket in row["buckets"]:
            bounds = (bucket["lower"], bucket["upper"])
            counts[bounds] = counts.get(bounds, 0) + bucket["count"]
    buckets = buckets_of(counts)
    end: int | None = None
    for place, bucket in enumerate(buckets):
        if place and (end is None or bucket["lower"] is None or bucket["lower"] <= end):
            return None
        end = bucket["upper"]
    return buckets


def quantile(name: str, buckets: list[Bucket], unit: str, doubt: Doubt) -> Measure:
    """Return the bounds of a quantile, as they are wherever the events in doubt would be."""
    if doubt.lost is None:
        return Measure(None, None, unit, doubt.why)
    astray = doubt.lost + doubt.moved
    lowest = _moved(buckets, doubt.moved, astray, is_up=False)
    highest = _moved(buckets, doubt.moved, astray, is_up=True)
    low, high, known = (cast("Any", quantiles(each))[name] for each in (lowest, highest, buckets))
    if None in (low, high, known):
        beyond = f"fewer than {LEAST_BEYOND} events lie beyond {name}"
        return Measure(None, None, unit, (*doubt.why, beyond))
    lower, upper = low[0], high[1]
    return Measure(
        None if lower is None else Fraction(lower),
        None if upper is None else Fraction(upper),
        unit,
        doubt.why,
    )


def _moved(buckets: list[Bucket], moved: int, astray: int, *, is_up: bool) -> list[Bucket]:
    """Return the buckets with events taken from one end, and put beyond the other, as all lost ones are."""
    if not astray:
        return buckets
    kept: list[Bucket] = []
    left = moved
    for bucket in buckets if is_up else reversed(buckets):
        taken = min(left, bucket["count"])
        left -= taken
        kept.append({**bucket, "count": bucket["count"] - taken})
    beyond: Bucket = {"lower": None, "upper": None, "count": astray - left}
    return [*kept, beyond] if is_up else [beyond, *reversed(kept)]
