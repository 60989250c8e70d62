"""Gates on two sides: what must hold of the side after, and what must not have become worse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.capture.condition import Limit
from runner.capture.condition_check import check_condition, shape_of
from runner.capture.evidence import why_unfit
from runner.capture.gate import gate_results as results_of_capture
from runner.compare.all_of_side import all_of
from runner.compare.blocks import blocks_of
from runner.compare.declared import outcome_of
from runner.compare.limits import ALPHA
from runner.compare.obstacles import obstacle
from runner.compare.outcome import NOT_WORSE
from runner.compare.permutation import permutation_test
from runner.compare.planning import can_decide
from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.capture.condition import Condition, NotWorse
    from runner.capture.condition_check import TableShape
    from runner.capture.document import GateResult
    from runner.capture.gate import Inconclusive, Verdict
    from runner.compare.design import Arrangement
    from runner.compare.document import ComparisonProblem
    from runner.compare.load import Loads
    from runner.compare.outcome import Numbers, Outcome
    from runner.compare.permutation import Scale
    from runner.compare.runs import RecordedRun


@dataclass(frozen=True, slots=True)
class TwoSides:
    """What gates are held against.

    :param work: The unit of the commands' work, where rates are per unit of it.
    :param problems: That were found of the runs.
    """

    sides: Sequence[Sequence[RecordedRun]]
    arrangement: Arrangement
    work: str | None
    loads: Loads | None
    problems: Sequence[ComparisonProblem]


def gate_results(
    conditions: Iterable[Condition], two: TwoSides, inconclusive: Inconclusive
) -> list[GateResult]:
    """Return what both sides say of gates.

    :raises ValueRefused: A gate is on what does not exist.
    """
    return [
        _limit(each, two.sides[1], inconclusive)
        if isinstance(each, Limit)
        else _not_worse(each, two, inconclusive)
        for each in conditions
    ]


def limit_results(
    conditions: Iterable[Condition], side: Sequence[RecordedRun], inconclusive: Inconclusive
) -> list[GateResult]:
    """Return what one side alone says of those gates that name an amount.

    :raises ValueRefused: A gate is on what does not exist.
    """
    return [_limit(each, side, inconclusive) for each in conditions if isinstance(each, Limit)]


def _limit(condition: Limit, side: Sequence[RecordedRun], inconclusive: Inconclusive) -> GateResult:
    """Return what all runs of the side after say together."""
    shapes: dict[str, TableShape] = {}
    for table in (table for run in side for table in run.all_tables):
        shapes.setdefault(table["name"], shape_of(table))
    check_condition(condition, shapes.values())
    why = _why_unfit(condition, side)
    if why is not None:
        return _undecided(condition, why)
    try:
        whole = all_of(side, condition.subject.table)
    except ValueRefused as error:
        return _undecided(condition, error.message)
    return results_of_capture([condition], whole, inconclusive)[0]


def _why_unfit(condition: Condition, runs: Iterable[RecordedRun]) -> str | None:
    """Return why a gate is not decided by runs one of which is no measurement; None where all are."""
    has_keys = bool(condition.subject.keys)
    for run in runs:
        for capture in run.all_captures:
            why = why_unfit(capture, has_keys=has_keys)
            if why is not None:
                return f"{run.files[0]}: {why}"
    return None


def _not_worse(condition: NotWorse, two: TwoSides, inconclusive: Inconclusive) -> GateResult:
    """Return whether the ratio after over before is certainly within the share, or certainly beyond it.

    The numbers of runs are exchanged as for verdicts: a gate passes where a ratio as large as the share is
    refuted, and fails where all that is no larger is, each one-sided at alpha.
    """
    runs = [run for side in two.sides for run in side]
    outcome = outcome_of(condition.subject, runs, what="gate", there_is=NOT_WORSE)
    if outcome.better is None:
        subject = condition.subject
        raise ValueRefused(
            f"gate '{condition}': nothing says which way {subject.table}.{subject.statistic} is worse",
            hint="an amount: 'TABLE.STATISTIC <= NUMBER'",
        )
    if two.work is not None and condition.subject.statistic == "rate":
        outcome = outcome.with_work(two.work)
    numbers = [outcome.numbers(side) for side in two.sides]
    why = _why_unfit(condition, runs) or _why_undecided(outcome, two, numbers)
    if why is not None:
        return _undecided(condition, why)
    share = float(condition.percent) / 100
    edge = 1 + share if outcome.better == "lower" else 1 - share
    # A factor of all values is a difference of their mean log2.
    scale: Scale = "difference" if outcome.margin.measure == "octaves" else "ratio"
    if scale == "difference":
        edge = math.log2(edge) if edge > 0 else -math.inf
    verdicts: list[Verdict] = []
    ratios: list[float] = []
    for values in ([side.least for side in numbers], [side.most for side in numbers]):
        test = permutation_test(blocks_of(two.arrangement, values), scale)
        is_lower = outcome.better == "lower"
        within = test.p_less(edge) if is_lower else test.p_greater(edge)
        beyond = test.p_greater(edge) if is_lower else test.p_less(edge)
        verdicts.append("pass" if within <= ALPHA else "fail" if beyond <= ALPHA else "inconclusive")
        ratios += [2**each if scale == "difference" else each for each in test.interval(2 * ALPHA)]
    verdict = verdicts[0] if verdicts[0] == verdicts[1] else "inconclusive"
    return {
        "gate": str(condition),
        "verdict": verdict,
        "counts_as": inconclusive if verdict == "inconclusive" else verdict,
        "measured": {"lower": _finite(min(ratios)), "upper": _finite(max(ratios)), "unit": "ratio"},
        "reason": "the runs leave both open" if verdict == "inconclusive" else None,
    }


def _why_undecided(outcome: Outcome, two: TwoSides, numbers: Sequence[Numbers]) -> str | None:
    blocked = obstacle(outcome, two.sides, numbers, two.problems)
    if blocked is not None:
        return blocked[0]
    if two.loads is not None and two.loads.obstacle is not None:
        return two.loads.obstacle[0]
    sizes = [(len(before), len(after)) for before, after in two.arrangement.blocks]
    if not can_decide(sizes, ALPHA):
        before, after = (len(side) for side in two.sides)
        return f"{before} runs before and {after} after cannot carry a decision"
    if outcome.margin.measure != "octaves" and not any(any(side.most) for side in numbers):
        return "there was nothing on either side, and a part of nothing is no margin: name an amount"
    return None


def _undecided(condition: Condition, why: str) -> GateResult:
    """Return that nothing decides a gate: it passes in no case."""
    return {
        "gate": str(condition),
        "verdict": "inconclusive",
        "counts_as": "fail",
        "measured": None,
        "reason": why,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
