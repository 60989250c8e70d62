"""Captures made by hand for tests of what reads them."""

from runner.capture.buckets import LogBuckets
from runner.capture.make import new_capture
from runner.capture.quality import problem
from runner.capture.rows import histogram_row, sorted_rows

LAYOUT = LogBuckets(2)
WINDOW = {
    "started_at": "2026-11-24T10:00:00.000Z",
    "attached_at": "2026-11-24T10:00:01.000Z",
    "ended_at": "2026-11-24T10:00:11.000Z",
    "duration_seconds": 10.0,
    "ended_by": "duration",
}


def table(name, kind, rows, unit="us", keys=(("comm", "comm"),), **more):
    columns = [{"name": key, "type": kind_of_key} for key, kind_of_key in keys]
    return {"name": name, "map": f"@{name}", "kind": kind, "unit": unit, "keys": columns, "rows": rows} | more


def histogram(values, key=None):
    """A row of a histogram of values in quarter octaves."""
    counts = {}
    for value in values:
        bounds = LAYOUT.bounds(LAYOUT.index(value), is_unsigned=False)
        counts[bounds] = counts.get(bounds, 0) + 1
    return histogram_row(key or {}, counts)


def latency(values, unit="us", **more):
    """A table `latency` without keys."""
    return table("latency", "histogram", [histogram(values)] if values else [], unit, (), **more)


def count(name, by_comm, unit="packets", **more):
    rows = sorted_rows({"key": {"comm": comm}, "value": value} for comm, value in by_comm.items())
    return table(name, "count", rows, unit, **more)


def capture(*tables, problems=(), window=None, parameters=None):
    made = [problem(code, number, "…") for code, number in problems]
    return new_capture(
        tables=list(tables),
        problems=made,
        messages=[],
        window={**WINDOW, **(window or {})},
        parameters=parameters,
    )
