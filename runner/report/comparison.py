"""A comparison on a terminal: the verdict first, then what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from runner.report.comparison_words import (
    MOST_FOUND,
    UNREADABLE,
    confidence_words,
    design_words,
    found,
    found_heading,
    interval_words,
    is_one_load,
    load_words,
    outcome_name,
    p_words,
    primaries,
    problem_text,
    recipe_words,
    shift_words,
    side_words,
)
from runner.report.console import new_console, text_of
from runner.report.gates import STYLES as GATE_STYLES
from runner.report.gates import gate_line
from runner.report.side_by_side import can_draw_blocks, format_side_by_side
from runner.report.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType

    from runner.compare.document import Comparison, Row

MOST_PICTURES = 5

MOST_COLUMNS = 120
"""Of a picture: where bars are longer, they say no more."""

_STYLES = {
    "better": "bold green",
    "same": "bold green",
    "worse": "bold red",
    "changed": "bold yellow",
    "inconclusive": "bold yellow",
}


def format_comparison(
    comparison: Comparison, *, in_color: bool, width: int | None = None, encoding: str | None = "utf-8"
) -> str:
    """Return a comparison as people read it.

    COLUMNS, TERM and NO_COLOR are honoured.

    :param in_color: The text goes to a terminal.
    :param width: Columns to use; None asks the terminal and COLUMNS.
    :param encoding: Of where the text goes: whether bars are blocks or ASCII.
    """
    console = new_console(in_color=in_color, width=width)
    _print_verdict(console, comparison)
    console.print()
    rows = primaries(comparison)
    if rows:
        console.print(_table(rows, comparison), *_reasons(rows, comparison), Text(), sep="\n")
    _say(console, "runs", f"{printable(design_words(comparison))}; {printable(recipe_words(comparison))}")
    load = comparison["load"]
    _say(console, "load", printable(load_words(load)), "" if is_one_load(load) else "yellow")
    for gate in comparison["gates"]:
        console.print(Text(printable(gate_line(gate)), style=GATE_STYLES[gate["verdict"]]))
    for problem in comparison["problems"]:
        style = "bold red" if problem["code"] in UNREADABLE else "yellow" if problem["left_out"] else "dim"
        console.print(Text(printable(problem_text(problem)), style=style))
    in_blocks = can_draw_blocks(encoding)
    picture_width = min(console.width, MOST_COLUMNS)
    for pair in comparison["distributions"][:MOST_PICTURES]:
        lines = format_side_by_side(pair, width=picture_width, in_blocks=in_blocks)
        console.print(*(Text(line, no_wrap=True) for line in ["", *lines]), sep="\n", soft_wrap=True)
    left = len(comparison["distributions"]) - MOST_PICTURES
    if left > 0:
        console.print(Text(f"… and {left} more histograms; the JSON has them", style="dim"))
    for each in _exploratory(comparison):
        console.print(each)
    return text_of(console)


def _print_verdict(console: Console, comparison: Comparison) -> None:
    word = comparison["verdict"]
    console.print(Text.assemble((word, _STYLES[word]), f": {printable(comparison['reason'])}"))
    if comparison["anew"]:
        _say(console, "record anew", printable(comparison["anew"]))


def _say(console: Console, title: str, text: str, style: str = "") -> None:
    console.print(Text(f"{title}: {text}", style=style))


def _table(rows: list[Row], comparison: Comparison) -> RenderableType:
    drawn = RichTable(box=None, pad_edge=False, header_style="")
    drawn.add_column("outcome", overflow="fold")
    for name in ("before", "after", "shift", f"{confidence_words(comparison)} interval", "p"):
        drawn.add_column(name, justify="right", overflow="fold")
    drawn.add_column("verdict")
    for row in rows:
        words = (*side_words(row), shift_words(row), interval_words(row), p_words(row["p_value"]))
        verdict = Text(row["verdict"], style=_STYLES[row["verdict"]])
        drawn.add_row(_cell(outcome_name(row)), *map(_cell, words), verdict)
    return drawn


def _cell(text: str) -> Text:
    """Return a cell: no markup of a traced host's is obeyed."""
    return Text(printable(text.replace(" percentage points", " pp")))


def _reasons(rows: list[Row], comparison: Comparison) -> Iterator[RenderableType]:
    """Say why of each outcome whose reason is not that of the whole, and what would decide it."""
    for row in rows:
        reason, anew = row.get("reason"), row.get("anew")
        said = [printable(reason)] if reason and reason not in comparison["reason"] else []
        said += [f"record anew: {printable(anew)}"] if anew and anew not in (comparison["anew"] or "") else []
        if said:
            yield Text(f"{printable(outcome_name(row))}: {'; '.join(said)}")


def _exploratory(comparison: Comparison) -> Iterator[RenderableType]:
    heading = found_heading(comparison)
    if not heading:
        return
    yield Text(f"\nAlso seems to have changed (exploratory, decides nothing): {heading}")
    rows = found(comparison)
    if not rows:
        return
    drawn = RichTable(box=None, pad_edge=False, header_style="")
    drawn.add_column("row", overflow="fold")
    for name in ("before", "after", "shift", "p", "adjusted"):
        drawn.add_column(name, justify="right", overflow="fold")
    for row in rows[:MOST_FOUND]:
        words = (*side_words(row), shift_words(row), p_words(row["p_value"]), p_words(row.get("adjusted")))
        drawn.add_row(_cell(outcome_name(row)), *map(_cell, words))
    yield Padding(drawn, (0, 0, 0, 2))
