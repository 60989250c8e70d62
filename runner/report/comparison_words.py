"""What a comparison says, in the words that the terminal, Markdown, JUnit and GitHub share.

Names come as they are: each form shows what they bring along in its own way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.capture.amounts import number
from runner.capture.percent import in_percent

if TYPE_CHECKING:
    from runner.capture.document import KeyValue
    from runner.compare.document import Comparison, ComparisonProblem, Load, Row

MOST_FOUND = 20
"""Rows shown of those that seem to have changed; the JSON has them all."""

MOST_FILES = 5
"""Files named of each problem."""

UNREADABLE = frozenset({"unreadable", "not-a-capture"})
"""Problems of files that nothing is known of."""

_BARE = re.compile(r"[\w.:/@*-]+")


def outcome_name(row: Row) -> str:
    """Return an outcome as a gate names it: `latency{comm=nginx}.above(5ms)`."""
    key = ", ".join(f"{name}={_key_value(value)}" for name, value in row["key"].items())
    rows = f"{{{key}}}" if key else ""
    threshold = f"({row['threshold']})" if "threshold" in row else ""
    return f"{row['name']}{rows}.{row['statistic']}{threshold}"


def _key_value(value: KeyValue) -> str:
    if isinstance(value, list):
        frames = [frame.get("symbol") or frame.get("address") or "?" for frame in value]
        return ";".join(frame["text"] if isinstance(frame, dict) else frame for frame in frames)
    if value is None:
        return "-"
    text = value["text"] if isinstance(value, dict) else str(value)
    return text if _BARE.fullmatch(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def side_words(row: Row) -> tuple[str, str]:
    """Return the mean of the runs of either side."""
    shown = row.get("shown", {})
    return (
        shown.get("before") or _value(row["before"], row["unit"]),
        shown.get("after") or _value(row["after"], row["unit"]),
    )


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "not known"
    return f"2^{value:.4g}" if unit == "octaves" else number(value, unit)


def shift_words(row: Row) -> str:
    """Return from where to where an outcome went."""
    if "shown" in row and "shift" in row["shown"]:
        return row["shown"]["shift"]
    shift = row["shift"]
    if shift is None:
        return "from nothing to something" if row["before"] == 0 and row["after"] else "not known"
    measure = row["margin"]["measure"] if "margin" in row else _measure(row)
    if measure == "octaves":
        return f"times {2**shift:.3g}"
    change = shift - 1 if measure == "ratio" else shift
    sign = "-" if change < 0 else "+"
    if measure == "ratio":
        return f"{sign}{in_percent(abs(change))}"
    if measure == "share":
        return f"{sign}{in_percent(abs(change)).removesuffix('%')} percentage points"
    return f"{sign}{abs(change):.4g}"


def _measure(row: Row) -> str:
    """Return what the shift of a row is that has no margin, as those have that are not primary."""
    return "octaves" if row["unit"] == "octaves" else "ratio"


def interval_words(row: Row) -> str:
    """Return between which bounds the shift lies."""
    return row.get("shown", {}).get("interval", "-")


def p_words(p: float | None) -> str:
    """Return a p-value with the digits that say something."""
    return "-" if p is None else f"{p:.2g}"


def confidence_words(comparison: Comparison) -> str:
    """Return the level of the intervals: `99%`."""
    return f"{100 * (1 - comparison['design']['alpha']):g}%"


def evidence_words(comparison: Comparison, row: Row) -> str:
    """Return in one line what decides an outcome."""
    before, after = side_words(row)
    margin = row.get("shown", {}).get("margin")
    parts = [f"before {before}", f"after {after}", f"shift {shift_words(row)}"]
    parts.append(f"{confidence_words(comparison)} interval {interval_words(row)}")
    parts += [f"margin {margin}"] if margin else []
    return ", ".join([*parts, f"p = {p_words(row['p_value'])}"])


def primaries(comparison: Comparison) -> list[Row]:
    """Return the outcomes that decide."""
    return [row for row in comparison["tables"] if row["primary"]]


def found(comparison: Comparison) -> list[Row]:
    """Return the other rows that seem to have changed, those that are least by chance first."""
    rows = [row for row in comparison["tables"] if not row["primary"] and row["verdict"] == "changed"]
    return sorted(rows, key=lambda row: (row.get("adjusted", 1.0), row["name"], outcome_name(row)))


def found_heading(comparison: Comparison) -> str:
    """Return how many of the rows that decide nothing were looked at, and found; empty where none was."""
    looked_at = sum(not row["primary"] for row in comparison["tables"])
    if not looked_at:
        return ""
    number_found = len(found(comparison))
    shown = f", {MOST_FOUND} shown" if number_found > MOST_FOUND else ""
    return f"{number_found} of {looked_at} rows that were looked at{shown}"


def recipe_words(comparison: Comparison) -> str:
    """Return what recorded both sides, with its parameters."""
    recipe = comparison["recipe"]
    parts = [str(recipe.get("id") or "script")]
    for name, given in comparison["parameters"].items():
        parts += [f"--{name} {value}" for value in (given if isinstance(given, list) else [given])]
    return " ".join(parts)


def design_words(comparison: Comparison) -> str:
    """Return how many runs each side has, how they were recorded, and where."""
    design, sides = comparison["design"], comparison["sides"]
    before, after = (len(sides[side]["runs"]) for side in ("before", "after"))
    order = {True: "in turns", False: "one side after the other", None: "in an order that is not known"}
    kinds = {
        "abba": f"{design['blocks']} blocks of ABBA",
        "unpaired": f"unpaired, {order[design['interleaved']]}",
        "windows": "one run against one, and only what their windows say",
    }
    parts = [f"{before} before, {after} after", kinds[design["kind"]]]
    hosts = [", ".join(sides[side]["hosts"]) or "unknown hosts" for side in ("before", "after")]
    if before or after:
        parts.append(f"on {hosts[0]}" if hosts[0] == hosts[1] else f"on {hosts[0]} and then on {hosts[1]}")
    left_out = sum(side["left_out"] for side in sides.values())
    parts += [f"{left_out} left out"] if left_out else []
    if not design["can_decide"]:
        parts.append(f"these cannot carry a decision at p ≤ {design['alpha']:g}")
    return "; ".join(parts)


def load_words(load: Load | None) -> str:
    """Return what each side did per second."""
    if load is None:
        return "not known"
    before, after = load["before"], load["after"]
    change = (
        f" ({'-' if after < before else '+'}{in_percent(abs(after / before - 1))})"
        if before not in (0, after)
        else ""
    )
    said = f"{_rate(before)} {load['unit']} per second before, {_rate(after)} after{change}"
    kept = _not_one_load(load)
    return f"{said}: {'; '.join(kept)}, so nothing is compared" if kept else said


def is_one_load(load: Load | None) -> bool:
    """Whether both sides are known to have had one load, from the first run to the last."""
    return load is not None and not _not_one_load(load)


def _not_one_load(load: Load) -> list[str]:
    # Documents of before there were the fields of drift and variation have none of them.
    found = ["more than 10% apart"] if load["differs"] else []
    drift, variation = load.get("drift"), load.get("variation")
    if drift is not None and load.get("drifts"):
        sign = "-" if drift < 0 else "+"
        found.append(f"it drifted by {sign}{in_percent(abs(drift))} from the first run to the last")
    if variation is not None and load.get("varies"):
        found.append(f"runs of one side vary by {in_percent(variation)}")
    return found


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def problem_heading(problem: ComparisonProblem) -> str:
    """Return what a problem does, and to whom: `left out, after`."""
    parts = ["left out" if problem["left_out"] else "note"]
    return ", ".join([*parts, problem["side"]] if problem["side"] else parts)


def file_names(problem: ComparisonProblem) -> tuple[list[str], int]:
    """Return the files to name, and how many more there are."""
    return problem["files"][:MOST_FILES], max(0, len(problem["files"]) - MOST_FILES)


def problem_text(problem: ComparisonProblem) -> str:
    """Return a problem in one line."""
    names, more = file_names(problem)
    files = ", ".join(names) + (f" and {more} more" if more else "")
    line = f"{problem_heading(problem)}: {problem['code']}: {problem['detail']}"
    return f"{line} ({files})" if files else line
