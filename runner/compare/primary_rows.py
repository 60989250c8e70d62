"""The rows of the document that decide, and what they say together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.compare.document import Row, Word
    from runner.compare.outcome import Outcome
    from runner.compare.verdict import Verdict


def primary_row(outcome: Outcome, verdict: Verdict | None, blocked: tuple[str, str] | None) -> Row:
    """Return the row of an outcome.

    :param verdict: None where runs have no number.
    :param blocked: Why nothing is decided, and what to record anew.
    """
    margin = outcome.margin
    row: Row = {
        "name": outcome.subject.table,
        "key": {key.name: f"{key.value}{'*' if key.is_prefix else ''}" for key in outcome.subject.keys},
        "statistic": outcome.statistic,
        "unit": outcome.shown_unit,
        "primary": True,
        "better": outcome.better,
        "verdict": "inconclusive",
        "before": None,
        "after": None,
        "shift": None,
        "p_value": None,
        "margin": {"measure": margin.measure, "lower": margin.lower, "upper": margin.upper},
    }
    if outcome.subject.threshold is not None:
        row["threshold"] = str(outcome.subject.threshold)
    if verdict is not None:
        lower, upper = verdict.interval
        row["before"], row["after"] = verdict.before, verdict.after
        row["shift"], row["p_value"] = _finite(verdict.effect), verdict.p
        row["interval"] = [_finite(lower), _finite(upper)]
        row["p_beyond"], row["p_same"] = verdict.p_beyond, verdict.p_same
        row["verdict"], row["reason"] = verdict.word, verdict.reason
        row["anew"], row["runs_needed"] = verdict.anew, verdict.runs
        row["shown"] = {
            "before": outcome.in_words(verdict.before),
            "after": outcome.in_words(verdict.after),
            "shift": margin.effect_in_words(verdict.effect),
            "interval": margin.interval_in_words(verdict.interval),
            "margin": margin.in_words(),
        }
    if blocked is not None:
        row["verdict"], row["runs_needed"] = "inconclusive", None
        row["reason"], row["anew"] = blocked
    return row


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def said_together(rows: Sequence[Row], word: Word, name: str) -> str | None:
    """Return what the rows say that the verdict is of; each thing once."""
    deciding = [row for row in rows if row["verdict"] == word] or list(rows)
    if word == "changed" and {row["verdict"] for row in rows} >= {"better", "worse"}:
        deciding = [row for row in rows if row["verdict"] in ("better", "worse")]
    several = len(rows) > 1
    texts = []
    for row in deciding:
        text = row.get(name)
        if text:
            texts.append(
                f"{row['name']}.{row['statistic']} {row['verdict']}: {text}"
                if several and name == "reason"
                else str(text)
            )
    return "; ".join(dict.fromkeys(texts)) or None
