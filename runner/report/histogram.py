"""A histogram as rows of bars, with the bounds of its quantiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from runner.capture.amounts import amount, is_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.capture.document import Bounds, Bucket, HistogramRow

BAR_WIDTH = 40
_UNITS = ((1 << 60, "E"), (1 << 50, "P"), (1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))


def format_histogram(title: str, key: str, unit: str | None, row: HistogramRow) -> Iterator[Text]:
    """Return the lines of a histogram: times with their own unit, else K, M … that are powers of 1024.

    Where buckets are left out, for nothing fell into them, a line says so.

    :param key: The row's key as text; empty for a table without keys.
    """
    heading = f"{title}: {key}" if key else title
    marks = [f"{name} {span(low, high, unit)}" for name, (low, high) in _known(row)]
    quantiles = f"; {', '.join(marks)}" if marks else ""
    shown = "" if is_time(unit) else f", {unit or 'value'}"
    yield Text(f"\n{heading}: {row['count']} events{shown}{quantiles}")
    most = max((bucket["count"] for bucket in row["buckets"]), default=1)
    labels = [span(bucket["lower"], bucket["upper"], unit) for bucket in row["buckets"]]
    width = max(map(len, labels), default=0)
    before: Bucket | None = None
    for label, bucket in zip(labels, row["buckets"], strict=True):
        if before is not None and (before["upper"] is None or bucket["lower"] != before["upper"] + 1):
            yield Text(f"  {'…':>{width}} {0:>10} |{'':<{BAR_WIDTH}}|", no_wrap=True)
        before = bucket
        bar = "@" * max(1, bucket["count"] * BAR_WIDTH // most)
        yield Text(f"  {label:>{width}} {bucket['count']:>10} |{bar:<{BAR_WIDTH}}|", no_wrap=True)


def _known(row: HistogramRow) -> Iterator[tuple[str, Bounds]]:
    for name in ("p50", "p95", "p99", "p999"):
        bounds = row["quantiles"][name]
        if bounds is not None:
            yield name, bounds


def span(lower: int | None, upper: int | None, unit: str | None) -> str:
    """Return a bucket as people read it, from its inclusive bounds: `[8 ms, 10 ms)`."""
    if lower is not None and lower == upper:
        return f"[{short(lower, unit)}]"
    high = "…" if upper is None else short(upper + 1, unit)
    return f"[{'…' if lower is None else short(lower, unit)}, {high})"


def short(number: int, unit: str | None) -> str:
    """Return the edge of a bucket: a time with its own unit, else K, M … that are powers of 1024."""
    if is_time(unit):
        return amount(number, unit)
    for size, name in _UNITS:
        if abs(number) >= size and number % size == 0:
            return f"{number // size}{name}"
    return str(number)
