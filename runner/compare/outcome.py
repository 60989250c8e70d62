"""What of a run is compared: a statistic of a table, which way it is better, and what counts as no change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from statistics import fmean
from typing import TYPE_CHECKING, cast

from runner.capture.bounds import Measure
from runner.capture.condition import ABOVE, NotWorse, Subject, parse_amount
from runner.capture.condition_check import check_condition, shape_of, unit_of
from runner.capture.distribution import joined_buckets
from runner.capture.measure import measure
from runner.capture.percent import in_percent
from runner.capture.selection import select
from runner.compare.margin import Margin
from runner.compare.statistic import mean, mean_log2, quantile_inside
from runner.errors import NotParsed, ValueRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.capture.condition import Amount
    from runner.capture.declaration import Better, Kind
    from runner.capture.document import Capture, Table
    from runner.compare.document import Statistic
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

    :param unit: Of the table; None where it declares none.
    :param per_work: A rate is per unit of the command's work, and of that name.
    """

    subject: Subject
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
            if isinstance(found, str):
                why.append(found)
                least.append(None)
                most.append(None)
            else:
                least.append(found[0])
                most.append(found[1])
        return Numbers(least, most, why)

    def of_windows(self, run: RecordedRun) -> list[float]:
        """Return one number of each window of a run; empty where some have none, or bounds alone."""
        found = [self._of(capture, run) for capture in run.captures_with(self.subject.table)]
        exact = [each[0] for each in found if not isinstance(each, str) and each[0] == each[1]]
        return exact if len(exact) == len(found) == len(run.windows) else []

    def _number(self, run: RecordedRun) -> tuple[float, float] | str:
        captures = run.captures_with(self.subject.table)
        if not captures:
            return f"there is no table {self.subject.table}"
        if self.subject.statistic in _PERMILLE or self.subject.statistic == "mean":
            return self._pooled(captures)
        found = [self._of(capture, run) for capture in captures]
        # A window without events says nothing of their latency: the others do.
        known = [each for each in found if not isinstance(each, str)]
        if not known:
            return next(each for each in found if isinstance(each, str))
        scale = len(found) if self.per_work is not None else 1
        return scale * fmean(each[0] for each in known), scale * fmean(each[1] for each in known)

    def _of(self, capture: Capture, run: RecordedRun) -> tuple[float, float] | str:
        table = next(each for each in capture["tables"] if each["name"] == self.subject.table)
        if self.subject.statistic == MEAN_LOG2:
            value = mean_log2(select(table, self.subject.keys).rows)
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


def outcome_of(
    subject: Subject, run: RecordedRun, *, what: str, there_is: Mapping[Kind, tuple[str, ...]]
) -> Outcome:
    """Return the outcome that a subject names, held against the tables of a run.

    :param what: What it is called in messages.
    :raises ValueRefused: There is no such table, statistic, key or unit.
    """
    tables: dict[str, Table] = {}
    for capture in run.all_captures:
        for table in capture["tables"]:
            tables.setdefault(table["name"], table)
    shapes = [shape_of(table) for table in tables.values()]
    check_condition(NotWorse(subject, Fraction(0), text=str(subject)), shapes, what=what, there_is=there_is)
    table = tables[subject.table]
    unit: str | None = table["unit"]
    if subject.statistic == "rate":
        unit = unit_of("rate", shape_of(table))
    margin = Margin.ratio()
    if subject.statistic == ABOVE:
        margin = Margin.share()
    elif subject.statistic == MEAN_LOG2:
        margin = Margin.octaves()
    return Outcome(subject, unit, _better(table, run), margin)


def _better(table: Table, run: RecordedRun) -> Better | None:
    """Return which way a table is better: as the one that decides, or as it says itself."""
    recipe = run.first["recipe"]
    primary = None if recipe is None else recipe["primary"]
    if primary is not None and primary["table"] == table["name"]:
        return primary["better"]
    return table.get("better")


def declared_outcome(run: RecordedRun) -> Outcome:
    """Return the outcome that a run's recipe declared to decide.

    :raises ValueRefused: There is none, or its recipe is of another time.
    """
    recipe = run.first["recipe"]
    primary = None if recipe is None else recipe["primary"]
    if primary is None:
        raise ValueRefused(
            "a script declares nothing that decides a comparison",
            hint="--primary 'latency.mean-log2', or TABLE.rate",
        )
    threshold = None
    if primary["statistic"] == ABOVE:
        threshold = _threshold(run, primary["table"])
    subject = Subject(primary["table"], primary["statistic"], threshold=threshold)
    return outcome_of(subject, run, what="the recipe's primary outcome", there_is=DECIDING)


def _threshold(run: RecordedRun, name: str) -> Amount:
    for capture in run.all_captures:
        for table in capture["tables"]:
            pair = table.get("above_of")
            given = (
                capture["parameters"].get(pair["parameter"])
                if pair is not None and pair["table"] == name
                else None
            )
            if isinstance(given, str):
                try:
                    return parse_amount(given)
                except NotParsed:
                    continue
    raise ValueRefused(
        f"nothing in the captures says from which threshold on {name} was counted",
        hint=f"--primary '{name}.above(10ms)'",
    )
