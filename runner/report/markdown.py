"""A comparison as Markdown, as GitHub and GitLab show it: of a job's summary, or a comment.

Text of others is never markup: no table breaks, no HTML comes through, and nobody is mentioned.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.report.comparison_words import (
    MOST_FOUND,
    confidence_words,
    design_words,
    file_names,
    found,
    found_heading,
    interval_words,
    load_words,
    outcome_name,
    p_words,
    primaries,
    problem_heading,
    recipe_words,
    shift_words,
    side_words,
)
from runner.report.gates import measured_text
from runner.report.side_by_side import format_side_by_side
from runner.report.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.capture.document import GateResult
    from runner.compare.document import Comparison, ComparisonProblem, DistributionPair, Row

MOST_PICTURES = 5
PICTURE_WIDTH = 100

_MARKUP = re.compile(r"[\\`*_\[\]<>#|~&$]")
_NOT_IN_A_SPAN = re.compile(r"[`|\\]")
_PUNCTUATION = re.compile(r"[!-,./:-@\[-`{-~]")


def markdown_of_comparison(comparison: Comparison) -> str:
    """Return a summary: verdict, outcomes, load, gates, problems, and the picture folded away."""
    return "\n\n".join(_blocks(comparison)) + "\n"


def _blocks(comparison: Comparison) -> Iterator[str]:
    yield f"### {code(recipe_words(comparison))}: {comparison['verdict']}"
    yield f"**{comparison['verdict']}**: {prose(comparison['reason'])}"
    if comparison["anew"]:
        yield f"**Record anew:** {prose(comparison['anew'])}"
    rows = primaries(comparison)
    if rows:
        yield _table_of_outcomes(rows, comparison)
    lines = [line for row in rows for line in _reasons(row, comparison)]
    lines.append(f"- runs: {prose(design_words(comparison))}")
    lines.append(f"- load: {prose(load_words(comparison['load']))}")
    yield "\n".join(lines)
    if comparison["gates"]:
        yield "#### Gates"
        yield _table_of_gates(comparison["gates"])
    if comparison["problems"]:
        yield "#### What is to be known of the captures"
        yield "\n".join(map(_problem, comparison["problems"]))
    if comparison["distributions"]:
        yield _pictures(comparison["distributions"])
    heading = found_heading(comparison)
    if heading:
        yield _exploratory(found(comparison), heading)


def _table_of_outcomes(rows: Sequence[Row], comparison: Comparison) -> str:
    head = ["outcome", "before", "after", "shift", f"{confidence_words(comparison)} interval", "p", "verdict"]
    cells = [
        (
            code(outcome_name(row)),
            *map(prose, side_words(row)),
            prose(shift_words(row)),
            prose(interval_words(row)),
            p_words(row["p_value"]),
            f"**{row['verdict']}**",
        )
        for row in rows
    ]
    return _table(head, cells)


def _table(head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in cells])


def _reasons(row: Row, comparison: Comparison) -> Iterator[str]:
    reason, anew = row.get("reason"), row.get("anew")
    said = [prose(reason)] if reason and reason not in comparison["reason"] else []
    said += [f"record anew: {prose(anew)}"] if anew and anew not in (comparison["anew"] or "") else []
    if said:
        yield f"- {code(outcome_name(row))}: {'; '.join(said)}"


def _table_of_gates(gates: Sequence[GateResult]) -> str:
    cells = [
        (
            code(gate["gate"]),
            f"**{gate['verdict']}**"
            + (f", counts as {gate['counts_as']}" if gate["verdict"] == "inconclusive" else ""),
            prose(measured_text(gate["measured"])) if gate["measured"] else "-",
            prose(gate["reason"] or ""),
        )
        for gate in gates
    ]
    return _table(["gate", "verdict", "measured", "why"], cells)


def _problem(problem: ComparisonProblem) -> str:
    names, more = file_names(problem)
    files = ", ".join(map(code, names)) + (f" and {more} more" if more else "")
    line = f"- {problem_heading(problem)}: {code(problem['code'])}: {prose(problem['detail'])}"
    return f"{line} ({files})" if files else line


def _pictures(pairs: Sequence[DistributionPair]) -> str:
    pictures = ["\n".join(format_side_by_side(pair, width=PICTURE_WIDTH)) for pair in pairs[:MOST_PICTURES]]
    left = len(pairs) - MOST_PICTURES
    pictures += [f"… and {left} more histograms; the JSON has them"] if left > 0 else []
    text = "\n\n".join(pictures)
    # No run of backticks inside ends the block.
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return _folded("Histograms, before and after", f"{fence}text\n{text}\n{fence}")


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{content}\n\n</details>"


def _exploratory(rows: Sequence[Row], heading: str) -> str:
    summary = f"Also seems to have changed (exploratory, decides nothing): {heading}"
    if not rows:
        return summary
    cells = [
        (
            code(outcome_name(row)),
            *map(prose, side_words(row)),
            prose(shift_words(row)),
            p_words(row["p_value"]),
            p_words(row.get("adjusted")),
        )
        for row in rows[:MOST_FOUND]
    ]
    return _folded(summary, _table(["row", "before", "after", "shift", "p", "adjusted"], cells))


def prose(text: str) -> str:
    """Return text in which nothing is markup, on one line."""
    escaped = _MARKUP.sub(lambda match: f"\\{match[0]}", printable(text))
    # An address would become a link and a name a mention: a space of no width stands between.
    return escaped.replace("@", "@&#8203;").replace("://", ":&#8203;//").replace("www.", "www&#8203;.")


def code(text: str) -> str:
    """Return text as code, on one line, in tables too."""
    shown = printable(text)
    if shown.strip() and not _NOT_IN_A_SPAN.search(shown):
        return f"`{shown}`"
    # A span in a table cannot hold every backtick, bar and backslash: characters by number can.
    return f"<code>{_PUNCTUATION.sub(lambda match: f'&#{ord(match[0])};', shown)}</code>"
