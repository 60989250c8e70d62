"""Recipes and the hosts of a fleet, as people and CI read them: a table on a terminal, or Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table as RichTable
from rich.text import Text

from runner.report.console import new_console, text_of
from runner.report.markdown import code, prose
from runner.report.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.doctor.matrix_document import Cell, HostGroup, Matrix

NARROWEST_HOST = 24
"""Columns of a terminal that a host takes at least."""

_COUNT_COLUMNS = 16
"""Of `500 of 500`, and what stands between columns."""

MOST_NAMES = 20
"""Names of hosts that are alike; the JSON has all."""

_STYLES = {"ok": "green", "missing": "red", "unknown": "yellow"}


def cell_words(cell: Cell) -> str:
    """Return what stands where a recipe and a host meet."""
    if cell["status"] == "ok":
        return f"runs ({cell['variant']})"
    if cell["status"] == "missing":
        return f"lacks {'; '.join(cell['lacks'])}"
    return f"not known: {'; '.join(cell['not_known'])}"


def format_matrix(matrix: Matrix, *, in_color: bool, width: int | None = None) -> str:
    """Return the table: a block for as many hosts as fit beside each other, and what hosts have in common.

    :param in_color: The text goes to a terminal.
    :param width: Columns to use; None asks the terminal and COLUMNS.
    """
    console = new_console(in_color=in_color, width=width)
    names = max(len("recipe"), *(len(recipe["id"]) for recipe in matrix["recipes"]))
    room = console.width - names - _COUNT_COLUMNS
    for groups in _parts(matrix["groups"], room):
        console.print(_block(matrix, groups))
        console.print()
    for line in _about_hosts(matrix):
        console.print(Text(printable(line)))
    return text_of(console)


def _parts(groups: list[HostGroup], room: int) -> Iterator[list[HostGroup]]:
    """Return groups that fit beside each other: words are folded where three of them would not."""
    most = max(NARROWEST_HOST, room // 3)
    part: list[HostGroup] = []
    taken = 0
    for group in groups:
        words = [*_head(group), _runs(group), *map(cell_words, group["recipes"])]
        width = min(most, max(map(len, words)) + 2)
        if part and taken + width > room:
            yield part
            part, taken = [], 0
        part.append(group)
        taken += width
    if part:
        yield part


def _block(matrix: Matrix, groups: list[HostGroup]) -> RichTable:
    drawn = RichTable(box=None, pad_edge=False, header_style="bold")
    drawn.add_column("recipe", no_wrap=True)
    drawn.add_column("runs on", justify="right", no_wrap=True)
    for group in groups:
        drawn.add_column(Text("\n".join(map(printable, _head(group)))), overflow="fold")
    for place, recipe in enumerate(matrix["recipes"]):
        cells = [group["recipes"][place] for group in groups]
        drawn.add_row(
            printable(recipe["id"]),
            f"{recipe['run']} of {matrix['hosts']}",
            *(Text(printable(cell_words(cell)), style=_STYLES.get(cell["status"], "")) for cell in cells),
        )
    drawn.add_row("", "", *(_runs(group) for group in groups), style="bold")
    return drawn


def _head(group: HostGroup) -> tuple[str, ...]:
    return (_name(group), f"Linux {group['kernel']}", _tracer(group))


def _name(group: HostGroup) -> str:
    others = group["count"] - 1
    return group["hosts"][0] + (f" and {others} alike" if others else "")


def _tracer(group: HostGroup) -> str:
    return f"bpftrace {group['bpftrace']}" if group["bpftrace"] else "no bpftrace"


def _runs(group: HostGroup) -> str:
    not_known = f", {group['not_known']} not known" if group["not_known"] else ""
    return f"{group['run']} of {len(group['recipes'])} run{not_known}"


def _about_hosts(matrix: Matrix) -> Iterator[str]:
    for group in matrix["groups"]:
        said = []
        if group["count"] > 1:
            names, more = group["hosts"][:MOST_NAMES], group["count"] - MOST_NAMES
            said.append(
                f"{group['count']} hosts: {', '.join(names)}" + (f" and {more} more" if more > 0 else "")
            )
        if group["not_looked_at"]:
            why = "; a facts file does not tell" if group["source"] == "facts" else ""
            said.append(f"not looked at: {', '.join(group['not_looked_at'])}{why}")
        if said:
            yield f"{_name(group)}, Linux {group['kernel']}, {_tracer(group)}: {'. '.join(said)}"


def markdown_of_matrix(matrix: Matrix) -> str:
    """Return the same as Markdown, all hosts in one table."""
    groups = matrix["groups"]
    heads = ["<br>".join((code(_name(group)), *map(prose, _head(group)[1:]))) for group in groups]
    lines = [_row(["recipe", "runs on", *heads]), f"|{'---|' * (len(groups) + 2)}"]
    for place, recipe in enumerate(matrix["recipes"]):
        cells = [prose(cell_words(group["recipes"][place])) for group in groups]
        lines.append(_row([code(recipe["id"]), f"{recipe['run']} of {matrix['hosts']}", *cells]))
    lines.append(_row(["", "", *(f"**{_runs(group)}**" for group in groups)]))
    told = [f"- {prose(line)}" for line in _about_hosts(matrix)]
    return "\n".join(lines) + "\n" + ("\n" + "\n".join(told) + "\n" if told else "")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
