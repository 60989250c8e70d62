"""Which outcome is meant: the one that a recipe declared to decide, or one that is named."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from runner.capture.condition import ABOVE, NotWorse, Subject, parse_amount
from runner.capture.condition_check import check_condition, shape_of, unit_of
from runner.compare.margin import Margin
from runner.compare.outcome import DECIDING, MEAN_LOG2, Outcome
from runner.errors import NotParsed, ValueRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.capture.condition import Amount
    from runner.capture.declaration import Better, Kind
    from runner.capture.document import Table
    from runner.compare.runs import RecordedRun


def outcome_of(
    subject: Subject, runs: Sequence[RecordedRun], *, what: str, there_is: Mapping[Kind, tuple[str, ...]]
) -> Outcome:
    """Return the outcome that a subject names, held against the tables of the first run that has them.

    :param what: What it is called in messages.
    :raises ValueRefused: There is no such table, statistic, key or unit.
    """
    tables: dict[str, Table] = {}
    for run in runs:
        for table in run.all_tables:
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
    return Outcome(subject, shape_of(table), unit, _better(table, subject.statistic, runs[0]), margin)


def _better(table: Table, statistic: str, run: RecordedRun) -> Better | None:
    """Return which way a statistic is better: as the outcome that decides, or as its table says.

    Of a latency less is better, and of the number of its events neither less nor more.
    """
    recipe = run.first["recipe"]
    primary = None if recipe is None else recipe["primary"]
    is_primary = primary is not None and primary["table"] == table["name"]
    if primary is not None and is_primary and primary["statistic"] == statistic:
        return primary["better"]
    if statistic == "rate" and table["kind"] == "histogram":
        return None
    return primary["better"] if primary is not None and is_primary else table.get("better")


def declared_outcome(runs: Sequence[RecordedRun]) -> Outcome:
    """Return the outcome that the recipe of runs declared to decide.

    :raises ValueRefused: There is none, or its recipe is of another time.
    """
    recipe = runs[0].first["recipe"]
    primary = None if recipe is None else recipe["primary"]
    if primary is None:
        raise ValueRefused(
            "a script declares nothing that decides a comparison",
            hint="--primary 'latency.mean-log2', or TABLE.rate",
        )
    threshold = None
    if primary["statistic"] == ABOVE:
        threshold = _threshold(runs, primary["table"])
    subject = Subject(primary["table"], primary["statistic"], threshold=threshold)
    return outcome_of(subject, runs, what="the recipe's primary outcome", there_is=DECIDING)


def _threshold(runs: Sequence[RecordedRun], name: str) -> Amount:
    for capture in (capture for run in runs for capture in run.all_captures):
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
