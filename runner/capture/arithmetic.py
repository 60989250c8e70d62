"""Tables put together and taken apart: sums over hosts and windows, differences of snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.capture.rows import AnyRow, counts_of, histogram_row, row_identity, sorted_rows, stats_row
from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.declaration import Kind
    from runner.capture.document import Table

CUMULATIVE: frozenset[Kind] = frozenset({"count", "sum", "stats", "histogram"})
"""Kinds that add up, and of which a later snapshot without an earlier one is what came between."""

_EXTREMES = {"min": min, "max": max}

WHY_NOT: dict[Kind, str] = {
    "avg": "an average without its count cannot be weighed; stats has both",
    "value": "the values are no sums",
    "time-series": "its points are of one run's clock",
    "min": "the least value of a window is not in two snapshots",
    "max": "the greatest value of a window is not in two snapshots",
}
"""Why tables of other kinds are not put together, or not taken apart."""


def merge(tables: Sequence[Table]) -> Table:
    """Return the table of everything that the given ones counted, exactly, in whatever order they stand.

    :raises ValueRefused: They are not the same table, or of a kind that cannot be merged.
    """
    first = tables[0]
    if first["kind"] not in CUMULATIVE and first["kind"] not in _EXTREMES:
        raise ValueRefused(f"{first['name']} cannot be merged: {WHY_NOT[first['kind']]}")
    found: dict[bytes, list[AnyRow]] = {}
    for table in tables:
        _check_same(first, table)
        for row in table["rows"]:
            found.setdefault(row_identity(row), []).append(row)
    rows = [rows[0] if len(rows) == 1 else _merged(first["kind"], rows) for rows in found.values()]
    return {**first, "rows": sorted_rows(rows)}


def subtract(later: Table, earlier: Table) -> Table:
    """Return what was counted between two snapshots that were taken without a clear in between.

    :raises ValueRefused: They are not the same table, of a kind that cannot be subtracted, or something
        went down: then it was cleared meanwhile, or they stand the wrong way round.
    """
    _check_same(later, earlier)
    if later["kind"] not in CUMULATIVE:
        raise ValueRefused(f"{later['name']} cannot be subtracted: {WHY_NOT[later['kind']]}")
    before = {row_identity(row): row for row in earlier["rows"]}
    rows = []
    for row in later["rows"]:
        old = before.pop(row_identity(row), None)
        difference = row if old is None else _difference(later, row, old)
        if _is_something(difference) or not later["keys"]:
            rows.append(difference)
    gone = [row for row in before.values() if _is_something(row)]
    if gone:
        raise ValueRefused(
            f"{later['name']}: {gone[0]['key']} is in the earlier snapshot and not in the later"
        )
    return {**later, "rows": sorted_rows(rows)}


def _check_same(one: Table, other: Table) -> None:
    for aspect in ("name", "kind", "unit", "keys"):
        if one[aspect] != other[aspect]:
            raise ValueRefused(f"not the same table: {aspect} {one[aspect]!r} and {other[aspect]!r}")


def _marks(row: AnyRow) -> dict[str, object]:
    return {name: row[name] for name in ("unattributed", "damaged", "ambiguous") if name in row}


def _merged(kind: Kind, rows: Sequence[AnyRow]) -> AnyRow:
    key = rows[0]["key"]
    if kind == "stats":
        made: AnyRow = stats_row(key, sum(row["count"] for row in rows), sum(row["total"] for row in rows))
    elif kind == "histogram":
        counts: dict[tuple[int | None, int | None], int] = {}
        for row in rows:
            for bucket in row["buckets"]:
                bounds = (bucket["lower"], bucket["upper"])
                counts[bounds] = counts.get(bounds, 0) + bucket["count"]
        made = histogram_row(key, counts)
        _check_layout(made)
    else:
        made = {"key": key, "value": _EXTREMES.get(kind, sum)(row["value"] for row in rows)}
    return {**made, **_marks(rows[0])}


def _check_layout(row: AnyRow) -> None:
    """Refuse buckets that overlap: they were cut in different ways."""
    end: int | None = None
    for place, bucket in enumerate(row["buckets"]):
        if place and (end is None or bucket["lower"] is None or bucket["lower"] <= end):
            raise ValueRefused(f"the histograms of {row['key']} have different buckets")
        end = bucket["upper"]


def _difference(table: Table, row: AnyRow, old: AnyRow) -> AnyRow:
    if table["kind"] == "stats":
        made: AnyRow = stats_row(row["key"], row["count"] - old["count"], row["total"] - old["total"])
        went_down = made["count"] < 0
    elif table["kind"] == "histogram":
        counts = counts_of(row["buckets"])
        for bounds, count in counts_of(old["buckets"]).items():
            counts[bounds] = counts.get(bounds, 0) - count
        went_down = any(count < 0 for count in counts.values())
        made = histogram_row(row["key"], counts)
    else:
        made = {"key": row["key"], "value": row["value"] - old["value"]}
        went_down = table["kind"] == "count" and made["value"] < 0
    if went_down:
        raise ValueRefused(f"{table['name']}: {row['key']} went down: it was cleared between the snapshots")
    return {**made, **_marks(row)}


def _is_something(row: AnyRow) -> bool:
    """Whether a row counted something; a count and its total may be read with an event between them."""
    return bool(row["value"] if "value" in row else row["count"] or row.get("total"))
