"""Rows of tables: what makes two of them the same, how they are made and in what order they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from runner.capture.quantiles import quantiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.capture.buckets import BucketBounds
    from runner.capture.document import Bucket, HistogramRow, KeyValue, Row, StatsRow

AnyRow = Any
"""A row of whatever kind its table has."""


def identity(key: Mapping[str, KeyValue]) -> bytes:
    """Return what is equal for equal keys and for no others."""
    return _compact(orjson.dumps(key))


def row_identity(row: Row) -> bytes:
    """Return the same of a row: one of which the owner or a key is not known is no other's."""
    return _compact(orjson.dumps((row["key"], row.get("unattributed", False), row.get("damaged"))))


def _compact(made: bytes) -> bytes:
    """Return a copy: what orjson returns holds some kilobytes, however short it is."""
    return b"%b" % made


def buckets_of(counts: Mapping[BucketBounds, int]) -> list[Bucket]:
    """Return buckets in the order of their values, empty ones left out."""
    return [
        {"lower": lower, "upper": upper, "count": counts[lower, upper]}
        for lower, upper in sorted(counts, key=_place)
        if counts[lower, upper]
    ]


def histogram_row(key: dict[str, KeyValue], counts: Mapping[BucketBounds, int]) -> HistogramRow:
    """Return a row with its buckets in order, and what they say of quantiles."""
    buckets = buckets_of(counts)
    return {
        "key": key,
        "count": sum(bucket["count"] for bucket in buckets),
        "buckets": buckets,
        "quantiles": quantiles(buckets),
    }


def stats_row(key: dict[str, KeyValue], count: int, total: int) -> StatsRow:
    """Return a row whose average is the quotient, rounded toward zero as bpftrace does."""
    average = abs(total) // count if count else 0
    return {"key": key, "count": count, "average": -average if total < 0 else average, "total": total}


def sorted_rows(rows: Iterable[AnyRow]) -> list[AnyRow]:
    """Return the rows, the greatest first; equal ones by their keys, so that the order means nothing."""
    return sorted(rows, key=lambda row: (-weight(row), row_identity(row)))


def weight(row: AnyRow) -> int:
    """Return the number that a row is ranked by."""
    if "value" in row:
        return row["value"] if isinstance(row["value"], int) else 0
    if "points" in row:
        return sum(point["value"] or 0 for point in row["points"])
    return int(row["total"] if "total" in row else row["count"])


def counts_of(buckets: Sequence[Bucket]) -> dict[BucketBounds, int]:
    """Return the counts of buckets by their bounds."""
    return {(bucket["lower"], bucket["upper"]): bucket["count"] for bucket in buckets}


def _place(bounds: BucketBounds) -> tuple[bool, int]:
    lower, _ = bounds
    return lower is not None, lower or 0
