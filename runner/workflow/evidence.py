"""What a capture says of hypotheses: the declared conditions, held against its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.capture.amounts import number
from runner.capture.condition import Limit, parse_condition
from runner.capture.condition_check import amount_in, check_condition, shape_of, unit_of
from runner.capture.evidence import why_unfit
from runner.capture.gate import judge
from runner.errors import EbpfRecipeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.document import Capture, Table
    from runner.capture.gate import Judgement
    from runner.workflow.documents import ConditionResult, Evidence, PlannedStep, Rule, Says


def evidence_of(step: PlannedStep, capture: Capture) -> list[tuple[str, Evidence]]:
    """Return what a capture says of each hypothesis that its recipe speaks of.

    :param step: The run that it is of; its rules were checked when it was planned.
    """
    return [(rule["hypothesis"], _judged(rule, step, capture)) for rule in step["rules"]]


def _judged(rule: Rule, step: PlannedStep, capture: Capture) -> Evidence:
    results, strengths = [], []
    for text in rule["when"]:
        result, strength = _condition(text, step, capture)
        results.append(result)
        strengths.append(strength)
    verdicts = [each["verdict"] for each in results]
    says: Says = "undecided"
    if all(each == "pass" for each in verdicts):
        says = rule["says"]
    elif "fail" in verdicts:
        says = "nothing"
    return {
        "capture": step["name"],
        "recipe": step["recipe"],
        "sign": None,
        "scope": step["scope"],
        "says": says,
        "conditions": results,
        "text": "; ".join(_shown(each) for each in results),
        "reason": rule["reason"],
        # The last condition is the one on what is large: those before it say that there is enough to tell.
        "strength": strengths[-1] if says in ("establishes", "suggests") else None,
    }


def _condition(text: str, step: PlannedStep, capture: Capture) -> tuple[ConditionResult, float | None]:
    condition = parse_condition(text, what="condition")
    assert isinstance(condition, Limit)
    why = why_unfit(capture, has_keys=bool(condition.subject.keys))
    if why is None:
        try:
            check_condition(condition, [shape_of(table) for table in capture["tables"]], what="condition")
        except EbpfRecipeError as error:
            why = error.message
    if why is not None:
        return {"condition": text, "verdict": "inconclusive", "measured": None, "reason": why}, None
    judgements = [judge(condition, capture)]
    if step["scope"] == "target":
        # Rows without an owner are shown whatever was asked for: they may be the target's, and may not be.
        judgements.append(judge(condition, _attributed(capture)))
    verdicts = {each.verdict for each in judgements}
    verdict = verdicts.pop() if len(verdicts) == 1 else "inconclusive"
    first = judgements[-1]
    reason = first.reason
    if verdict == "inconclusive" and reason is None:
        reason = "it depends on rows whose owner is not known"
    measured: dict[str, Any] | None = None
    if first.measure is not None:
        bounds = [
            None if each is None else float(each) for each in (first.measure.lower, first.measure.upper)
        ]
        measured = {"lower": bounds[0], "upper": bounds[1], "unit": first.measure.unit}
    result: ConditionResult = {"condition": text, "verdict": verdict, "measured": measured, "reason": reason}
    return result, _strength(condition, first, capture)


def _strength(condition: Limit, judgement: Judgement, capture: Capture) -> float | None:
    """Return how many times what was measured is of what is asked for, at least."""
    if (
        judgement.measure is None
        or judgement.measure.lower is None
        or condition.comparison not in (">", ">=")
    ):
        return None
    shape = next(shape_of(each) for each in capture["tables"] if each["name"] == condition.subject.table)
    statistic = condition.subject.statistic
    amount = amount_in(condition.amount, unit_of(statistic, shape), is_rate=statistic == "rate")
    assert amount is not None
    return float(judgement.measure.lower / amount) if amount > 0 else None


def _attributed(capture: Capture) -> Capture:
    """Return a capture without rows whose owner is not known, and without totals that have them in."""
    tables: list[Table] = []
    for table in capture["tables"]:
        if "total_of" in table:
            counted = next((each for each in capture["tables"] if each["name"] == table["total_of"]), None)
            if counted is not None and _has_strangers(counted["rows"]):
                continue
        rows = [row for row in table["rows"] if not row.get("unattributed")]
        made_table: Any = {**table, "rows": rows}
        tables.append(made_table)
    made: Capture = {**capture, "tables": tables}
    missing = [each for each in capture["tables"] if each["name"] not in {table["name"] for table in tables}]
    # A condition on a total is decided by the total of the rows that are left.
    for table in missing:
        counted = next(each for each in tables if each["name"] == table.get("total_of"))
        total: Any = {**table, "rows": [{"key": {}, "value": _total(counted["rows"])}]}
        made["tables"].append(total)
    return made


def _has_strangers(rows: Sequence[Any]) -> bool:
    return any(row.get("unattributed") for row in rows)


def _total(rows: Sequence[Any]) -> int:
    return sum(row["value"] if "value" in row else row["count"] for row in rows)


def _shown(result: ConditionResult) -> str:
    """Return a condition and what was measured of it, in words."""
    subject = result["condition"]
    found = result["measured"]
    if found is None:
        return f"{subject}: {result['reason']}"
    lower, upper, unit = found["lower"], found["upper"], found["unit"]
    if lower == upper and lower is not None:
        shown = _number(lower, unit)
    else:
        low = "?" if lower is None else _number(lower, unit)
        high = "?" if upper is None else _number(upper, unit)
        shown = f"between {low} and {high}"
    return f"{subject}: {shown}"


def _number(value: float, unit: str) -> str:
    """Return a number as people read it: whole with all of its digits, a time in the unit that suits."""
    plain, _, per = unit.partition("/")
    whole = round(value) if value == round(value) or abs(value) >= 1000 else value
    return number(whole, plain) + (f"/{per}" if per else "")
