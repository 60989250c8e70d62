"""Gates on two sides: what must hold of the side after, and what must not have become worse."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from runner.capture.arithmetic import merge
from runner.capture.condition import Limit, NotWorse
from runner.capture.condition_check import check_condition, shape_of
from runner.capture.evidence import why_unfit
from runner.capture.gate import gate_results as results_of_capture
from runner.compare.blocks import blocks_of
from runner.compare.declared import outcome_of
from runner.compare.outcome import NOT_WORSE
from runner.compare.permutation import permutation_test
from runner.compare.planning import can_decide
from runner.compare.verdict import ALPHA
from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.condition import Condition
    from runner.capture.document import Capture, GateResult, Problem, Table
    from runner.capture.gate import Inconclusive
    from runner.compare.design import Arrangement
    from runner.compare.load import Loads
    from runner.compare.permutation import Scale
    from runner.compare.runs import RecordedRun


def gate_results(
    conditions: Sequence[Condition],
    sides: Sequence[Sequence[RecordedRun]],
    arrangement: Arrangement,
    work: str | None,
    loads: Loads | None,
    inconclusive: Inconclusive,
    blocked: str | None,
) -> list[GateResult]:
    """Return what both sides say of gates.

    :param work: The unit of the commands' work, where rates are per unit of it.
    :param blocked: Why nothing can be compared.
    :raises ValueRefused: A gate is on what does not exist.
    """
    results = []
    for condition in conditions:
        if isinstance(condition, Limit):
            results.append(_limit(condition, sides[1], inconclusive))
        else:
            results.append(_not_worse(condition, sides, arrangement, work, loads, inconclusive, blocked))
    return results


def _limit(condition: Limit, side: Sequence[RecordedRun], inconclusive: Inconclusive) -> GateResult:
    """Return what all runs of the side after say together."""
    together = _together(side)
    check_condition(condition, [shape_of(table) for table in together["tables"]])
    has_keys = bool(condition.subject.keys)
    for run in side:
        for capture in run.captures:
            why = why_unfit(capture, has_keys=has_keys)
            if why is not None:
                return _undecided(condition, f"{run.files[0]}: {why}")
    return results_of_capture([condition], together, inconclusive)[0]


def _together(side: Sequence[RecordedRun]) -> Capture:
    """Return one capture of all that the runs of a side counted, for as long as they lasted together."""
    names = dict.fromkeys(
        table["name"] for run in side for each in run.all_captures for table in each["tables"]
    )
    tables: list[Table] = []
    for name in names:
        found = [_timeless(table) for run in side for table in run.tables(name)]
        if found:
            try:
                tables.append(merge(found) if len(found) > 1 else found[0])
            except ValueRefused:
                # Of a kind that cannot be put together, or cut in different ways: no gate can be on it.
                continue
    lasted = [run.seconds for run in side]
    known = [each for each in lasted if each is not None]
    problems: list[Problem] = [
        problem for run in side for capture in run.captures for problem in capture["quality"]["problems"]
    ]
    first = side[0].first
    return {
        **first,
        "tables": tables,
        "window": {
            **first["window"],
            "duration_seconds": sum(known) if len(known) == len(lasted) else None,
            "ended_by": "duration",
        },
        "quality": {"grade": first["quality"]["grade"], "problems": problems},
    }


def _timeless(table: Table) -> Table:
    made = table.copy()
    made.pop("since", None)
    made.pop("until", None)
    return made


def _not_worse(
    condition: NotWorse,
    sides: Sequence[Sequence[RecordedRun]],
    arrangement: Arrangement,
    work: str | None,
    loads: Loads | None,
    inconclusive: Inconclusive,
    blocked: str | None,
) -> GateResult:
    """Return whether the ratio after over before is certainly within the share, or certainly beyond it.

    The numbers of runs are exchanged as for verdicts: a gate passes where a ratio as large as the share is
    refuted, and fails where all that is no larger is, each one-sided at alpha.
    """
    runs = [run for side in sides for run in side]
    outcome = outcome_of(condition.subject, runs, what="gate", there_is=NOT_WORSE)
    if outcome.better is None:
        raise ValueRefused(
            f"gate '{condition}': nothing says which way {condition.subject.table} is worse",
            hint="an amount: 'TABLE.STATISTIC <= NUMBER'",
        )
    if work is not None and condition.subject.statistic == "rate":
        outcome = outcome.with_work(work)
    if blocked is not None:
        return _undecided(condition, blocked)
    if loads is not None and loads.differ:
        return _undecided(condition, f"the load differs: {loads.in_words()}")
    numbers = [outcome.numbers(side) for side in sides]
    for side in numbers:
        if side.why:
            return _undecided(condition, side.why[0])
    sizes = [(len(before), len(after)) for before, after in arrangement.blocks]
    if not can_decide(sizes, ALPHA):
        before, after = (len(side) for side in sides)
        return _undecided(condition, f"{before} runs before and {after} after cannot carry a decision")
    # A factor of all values is a difference of their mean log2.
    scale: Scale = "difference" if outcome.margin.measure == "octaves" else "ratio"
    verdicts = []
    intervals = []
    for name in ("least", "most"):
        values = [getattr(side, name) for side in numbers]
        test = permutation_test(blocks_of(arrangement, values), scale)
        share = float(condition.percent) / 100
        edge = 1 + share if outcome.better == "lower" else 1 - share
        edge = math.log2(edge) if scale == "difference" and edge > 0 else edge
        is_within = test.p_less(edge) if outcome.better == "lower" else test.p_greater(edge)
        is_beyond = test.p_greater(edge) if outcome.better == "lower" else test.p_less(edge)
        verdicts.append("pass" if is_within <= ALPHA else "fail" if is_beyond <= ALPHA else "inconclusive")
        lower, upper = test.interval(2 * ALPHA)
        intervals += [2**each if scale == "difference" else each for each in (lower, upper)]
    verdict = verdicts[0] if verdicts[0] == verdicts[1] else "inconclusive"
    return {
        "gate": str(condition),
        "verdict": verdict,  # type: ignore[typeddict-item]
        "counts_as": inconclusive if verdict == "inconclusive" else verdict,  # type: ignore[typeddict-item]
        "measured": {"lower": _finite(min(intervals)), "upper": _finite(max(intervals)), "unit": "ratio"},
        "reason": "the runs leave both open" if verdict == "inconclusive" else None,
    }


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
