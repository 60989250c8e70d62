"""What of a run is compared: a statistic of a table, which way it is better, and what counts as no change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, cast

from runner.capture.bounds import Measure
from runner.capture.condition import ABOVE
from runner.capture.condition_check import shape_of
from runner.capture.distribution import joined_buckets
from runner.capture.evidence import Doubt, doubt_of
from runner.capture.measure import measure, seconds_of
from runner.capture.percent import in_percent
from runner.capture.selection import select
from runner.compare.all_of_side import all_of
from runner.compare.statistic import mean, mean_log2, quantile_inside
from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.capture.condition import Subject
    from runner.capture.condition_check import TableShape
    from runner.capture.declaration import Better, Kind
    from runner.capture.document import Capture, Table
    from runner.compare.document import Statistic
    from runner.compare.margin import Margin
    from runner.compare.runs import RecordedRun

MEAN_LOG2 = "mean-log2"
_PERMILLE = {"p50": 500, "p95": 950, "p99": 990, "p999": 999}

DECIDING: Mapping[Kind, tuple[str, ...]] = {
    "count": ("rate",),
    "sum": ("rate",),
    "stats": ("mean", "rate"),
    "histogram": (ABOVE, MEAN_LOG2, "rate"),
    "min": (),
    "max": (),
    "avg": (),
    "time-series": (),
    "value": (),
}
"""Statistics that can decide a comparison."""

NOT_WORSE: Mapping[Kind, tuple[str, ...]] = {
    **DECIDING,
    "histogram": (*_PERMILLE, "mean", ABOVE, MEAN_LOG2, "rate"),
}
"""Statistics that a gate of two sides can be of."""


def geometric(octaves: float, unit: str | None) -> str:
    """Return a mean log2 as people read it: the geometric mean."""
    return f"{2**octaves:,.4g} {unit or ''}".rstrip()


def _are_in_doubt(captures: Iterable[Capture]) -> bool:
    return any(doubt_of(capture, has_room=False) != Doubt() for capture in captures)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What each run says of an outcome: bounds, equal where it is exact; None where it says nothing.

    :param why: Of the runs that say nothing.
    """

    least: Sequence[float | None]
    most: Sequence[float | None]
    why: Sequence[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One number of each run.

    :param shape: Of the table: one of another kind, unit or keys is another table.
    :param unit: Of the table; None where it declares none.
    :param per_work: A rate is per unit of the command's work, and of that name.
    """

    subject: Subject
    shape: TableShape
    unit: str | None
    better: Better | None
    margin: Margin
    per_work: str | None = None

    @property
    def statistic(self) -> Statistic:
        """Return the statistic, as documents name it."""
        return "per-work" if self.per_work is not None else cast("Statistic", self.subject.statistic)

    @property
    def shown_unit(self) -> str:
        """Return the unit of its numbers."""
        if self.subject.statistic == ABOVE:
            return "ratio"
        if self.subject.statistic == MEAN_LOG2:
            return "octaves"
        counted = self.unit or "events"
        if self.per_work is not None:
            return f"{counted}/{self.per_work}"
        return f"{counted}/s" if self.subject.statistic == "rate" else counted

    def with_work(self, name: str) -> Outcome:
        """Return a rate per unit of work."""
        return replace(self, per_work=name)

    def in_words(self, value: float) -> str:
        """Return one of its numbers as people read it."""
        if self.subject.statistic == ABOVE:
            return in_percent(value)
        if self.subject.statistic == MEAN_LOG2:
            return geometric(value, self.unit)
        return f"{value:,.4g} {self.shown_unit}"

    def numbers(self, runs: Iterable[RecordedRun]) -> Numbers:
        """Return what each run says: the mean of its windows."""
        least: list[float | None] = []
        most: list[float | None] = []
        why: list[str] = []
        for run in runs:
            found = self._number(run)
            if not isinstance(found, str) and self.margin.measure == "ratio" and found[0] < 0:
                found = "it is below zero, and such values have no ratio"
            if isinstance(found, str):
                why.append(found)
                least.append(None)
                most.append(None)
            else:
                least.append(found[0])
                most.append(found[1])
        return Numbers(least, most, why)

    def is_of(self, run: RecordedRun) -> bool:
        """Whether a run has the table that is meant."""
        tables = run.tables(self.subject.table)
        return bool(tables) and all(shape_of(table) == self.shape for table in tables)

    def of_windows(self, run: RecordedRun) -> list[float]:
        """Return one number of each window of a run; empty where some have none, or bounds alone."""
        if not self.is_of(run):
            return []
        found = [self._of(capture, run) for capture in run.captures_with(self.subject.table)]
        exact = [each[0] for each in found if not isinstance(each, str) and each[0] == each[1]]
        return exact if len(exact) == len(found) == len(run.windows) else []

    def _number(self, run: RecordedRun) -> tuple[float, float] | str:
        captures = run.captures_with(self.subject.table)
        if not captures:
            return f"there is no table {self.subject.table}"
        if not self.is_of(run):
            return f"its table {self.subject.table} has another kind, unit or keys"
        if self.subject.statistic in _PERMILLE or self.subject.statistic == "mean":
            return self._pooled(captures)
        if len(captures) > 1 and self.subject.statistic != MEAN_LOG2 and _are_in_doubt(captures):
            # What a run lacks is said of each of its windows, and missing once.
            try:
                captures = (all_of([run], self.subject.table),)
            except ValueRefused as error:
                return error.message
        if self.statistic == "rate":
            return self._rate(run, captures)
        found = [self._of(capture, run) for capture in captures]
        # A window without events says nothing of their latency: the others do.
        known = [each for each in found if not isinstance(each, str)]
        if not known:
            return next(each for each in found if isinstance(each, str))
        scale = len(found) if self.per_work is not None else 1
        return scale * fmean(each[0] for each in known), scale * fmean(each[1] for each in known)

    def _rate(self, run: RecordedRun, captures: Sequence[Capture]) -> tuple[float, float] | str:
        """Return what came per second of all windows: the last may be shorter than the others, or longer."""
        least = most = lasted = 0.0
        for capture in captures:
            found = self._of(capture, run)
            seconds = seconds_of(capture, self._table(capture))
            if isinstance(found, str) or seconds is None:
                return found if isinstance(found, str) else "it is not known how long the window was"
            least += found[0] * float(seconds)
            most += found[1] * float(seconds)
            lasted += float(seconds)
        return least / lasted, most / lasted

    def _table(self, capture: Capture) -> Table:
        return next(each for each in capture["tables"] if each["name"] == self.subject.table)

    def _of(self, capture: Capture, run: RecordedRun) -> tuple[float, float] | str:
        table = self._table(capture)
        if self.subject.statistic == MEAN_LOG2:
            try:
                value = mean_log2(select(table, self.subject.keys).rows)
            except ValueRefused as error:
                return error.message
            return "there were no events" if value is None else (value, value)
        statistic, divisor = self.subject.statistic, 1
        if self.per_work is not None:
            statistic = "count" if table["kind"] == "histogram" else "total"
            work = run.work
            if work is None or work[0] == 0:
                return "its command did no work"
            divisor = work[0]
        found = measure(replace(self.subject, statistic=statistic), capture)
        if not isinstance(found, Measure):
            return found.why
        if found.lower is None or found.upper is None:
            return "; ".join(found.why) or "it is not known"
        return float(found.lower / divisor), float(found.upper / divisor)

    def _pooled(self, captures: Sequence[Capture]) -> tuple[float, float] | str:
        doubts = [doubt_of(capture, has_room=False) for capture in captures]
        if any(doubt.lost is None for doubt in doubts):
            return "; ".join(dict.fromkeys(why for doubt in doubts for why in doubt.why))
        tables = [
            each for capture in captures for each in capture["tables"] if each["name"] == self.subject.table
        ]
        rows = [row for table in tables for row in select(table, self.subject.keys).rows]
        value: float | None
        if tables[0]["kind"] == "stats":
            count = sum(row["count"] for row in rows)
            value = sum(row["total"] for row in rows) / count if count else None
        else:
            buckets = joined_buckets(rows)
            if buckets is None:
                return "its histograms have different buckets"
            permille = _PERMILLE.get(self.subject.statistic)
            value = mean(buckets) if permille is None else quantile_inside(buckets, permille)
        return "it has too few events for that" if value is None else (value, value)
