"""Printed map values: numbers, statistics and histograms as bpftrace itself aggregates them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.bpftrace.keys import signed, unsigned
from runner.bpftrace.output import Pairs
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from runner.bpftrace.dialect import Dialect
    from runner.bpftrace.output import Object
    from runner.capture.buckets import BucketBounds
    from runner.capture.declaration import TableDeclaration
    from runner.capture.document import Point

_LAST_31_BITS = 1 << 30
_OVERFLOWN = -(1 << 31)


def integer(declaration: TableDeclaration, value: Any) -> int:
    """Return a printed number as the table declares it, signed or not.

    Since v0.24 an integer that a double cannot hold is printed as a string; up to 0.23 an unsigned one
    may be printed as signed, and a negative one as unsigned.

    :raises NotUnderstood: It is none.
    """
    if isinstance(value, str | int) and not isinstance(value, bool):
        try:
            return in_64_bits(declaration, int(value))
        except ValueError:
            pass
    raise NotUnderstood(f"{declaration.map}: {value!r} is not a whole number")


def in_64_bits(declaration: TableDeclaration, number: int) -> int:
    """Return a number as 64 bits hold it, signed or not: sums wrap there."""
    return unsigned(number) if declaration.unsigned or declaration.kind == "count" else signed(number)


def count_and_total(declaration: TableDeclaration, value: Any) -> tuple[int, int]:
    """Return what stats() kept. Its printed average is that of a signed total up to 0.23: not used.

    :raises NotUnderstood: It is something else.
    """
    if not isinstance(value, dict | Pairs):
        raise NotUnderstood(f"{declaration.map}: {value!r} is no statistics")
    count, total = value.get("count"), value.get("total")
    return unsigned(integer(declaration, count)), integer(declaration, total)


def hist_counts(declaration: TableDeclaration, value: Any, dialect: Dialect) -> dict[BucketBounds, int]:
    """Return the buckets of hist() or lhist(), those without events left out.

    :raises NotUnderstood: It is something else.
    """
    if not isinstance(value, list) or isinstance(value, Pairs):
        raise NotUnderstood(f"{declaration.map}: {value!r} is no histogram")
    counts: dict[BucketBounds, int] = {}
    for bucket in value:
        if not isinstance(bucket, dict | Pairs) or bucket.get("count") is None:
            raise NotUnderstood(f"{declaration.map}: {bucket!r} is no bucket")
        bounds = _bounds(declaration, bucket, dialect)
        count = unsigned(integer(declaration, bucket.get("count")))
        if count:
            counts[bounds] = counts.get(bounds, 0) + count
    return counts


def _bounds(declaration: TableDeclaration, bucket: Object, dialect: Dialect) -> BucketBounds:
    lower, upper = (
        None if bound is None else integer(declaration, bound)
        for bound in (bucket.get("min"), bucket.get("max"))
    )
    if dialect.hist_holds_31_bits:
        # Up to 0.19 bounds are ints and overflow: 2^30 … -2^31-1, and -2^31 … 0 for all that is greater.
        if lower == _LAST_31_BITS and upper is not None and upper < lower:
            return lower, 2 * _LAST_31_BITS - 1
        if lower == _OVERFLOWN:
            return 2 * _LAST_31_BITS, None
    return lower, upper


def series_points(declaration: TableDeclaration, value: Any) -> list[Point]:
    """Return the points of tseries() (since 0.24); their times are in a zone that is not told.

    :raises NotUnderstood: It is something else.
    """
    if not isinstance(value, list) or isinstance(value, Pairs):
        raise NotUnderstood(f"{declaration.map}: {value!r} is no time series")
    points: list[Point] = []
    for point in value:
        time = point.get("interval_start") if isinstance(point, dict | Pairs) else None
        if not isinstance(time, str) or not time.isascii():
            raise NotUnderstood(f"{declaration.map}: {point!r} is no point of a time series")
        points.append({"time": time.replace(" ", "T"), "value": integer(declaration, point.get("value"))})
    return points
