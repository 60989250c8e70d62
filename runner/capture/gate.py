"""The verdict of a condition on one capture: it passes, it fails, or what is known does not decide it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from runner.capture.bounds import Measure
from runner.capture.condition_check import amount_in, shape_of, unit_of
from runner.capture.evidence import why_unfit
from runner.capture.measure import measure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from fractions import Fraction

    from runner.capture.bounds import Bound
    from runner.capture.condition import Comparison, Limit
    from runner.capture.document import Capture, GateResult, Measured

Verdict = Literal["pass", "fail", "inconclusive"]
Inconclusive = Literal["pass", "fail"]
"""What an inconclusive condition counts as."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a capture says of a condition.

    :param reason: Why it is inconclusive.
    :param is_founded: There is something to decide it by; what is not founded passes in no case.
    """

    condition: Limit
    verdict: Verdict
    measure: Measure | None
    reason: str | None = None
    is_founded: bool = True


def judge(condition: Limit, capture: Capture) -> Judgement:
    """Hold a condition against a capture.

    :param condition: Held against the capture's tables before (`check_condition`).
    """
    subject = condition.subject
    found = measure(subject, capture)
    measured = found if isinstance(found, Measure) else None
    why = why_unfit(capture, has_keys=bool(subject.keys))
    if why is not None or not isinstance(found, Measure):
        reason = why if why is not None or isinstance(found, Measure) else found.why
        return Judgement(condition, "inconclusive", measured, reason, is_founded=False)
    shape = next(shape_of(table) for table in capture["tables"] if table["name"] == subject.table)
    unit = unit_of(subject.statistic, shape)
    amount = amount_in(condition.amount, unit, is_rate=subject.statistic == "rate")
    assert amount is not None, "check_condition refuses other units"
    verdict = compare(found.lower, found.upper, condition.comparison, amount)
    if verdict != "inconclusive":
        return Judgement(condition, verdict, found)
    is_open = found.lower is None and found.upper is None
    between = () if is_open and found.why else ("the amount lies between the bounds",)
    reason = "; ".join((*between, *found.why))
    return Judgement(condition, verdict, found, reason)


def compare(lower: Bound, upper: Bound, comparison: Comparison, amount: Fraction) -> Verdict:
    """Return whether all values between two bounds, none of them, or some fulfil a comparison."""
    is_below = upper is not None and upper < amount
    is_above = lower is not None and lower > amount
    is_at_most = upper is not None and upper <= amount
    is_at_least = lower is not None and lower >= amount
    is_equal = is_at_most and is_at_least
    holds, fails = {
        "<=": (is_at_most, is_above),
        "<": (is_below, is_at_least),
        ">=": (is_at_least, is_below),
        ">": (is_above, is_at_most),
        "=": (is_equal, is_below or is_above),
        "!=": (is_below or is_above, is_equal),
    }[comparison]
    return "pass" if holds else "fail" if fails else "inconclusive"


def gate_results(
    conditions: Iterable[Limit], capture: Capture, inconclusive: Inconclusive
) -> list[GateResult]:
    """Return what a capture says of its gates, as it stands in there."""
    return [_result(judge(each, capture), inconclusive) for each in conditions]


def _result(judgement: Judgement, inconclusive: Inconclusive) -> GateResult:
    verdict = judgement.verdict
    if verdict != "inconclusive":
        counts_as: Inconclusive = verdict
    else:
        counts_as = inconclusive if judgement.is_founded else "fail"
    return {
        "gate": str(judgement.condition),
        "verdict": verdict,
        "counts_as": counts_as,
        "measured": None if judgement.measure is None else _measured(judgement.measure),
        "reason": judgement.reason,
    }


def _measured(found: Measure) -> Measured:
    return {"lower": _number(found.lower), "upper": _number(found.upper), "unit": found.unit}


def _number(bound: Bound) -> int | float | None:
    """Return a whole number as it is, and another to the digits that a double has."""
    if bound is None:
        return None
    return bound.numerator if bound.denominator == 1 else float(bound)
