"""A capture as a table on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

if TYPE_CHECKING:
    from typing import TextIO

    from runner.capture.document import Capture, KeyValue, Table

MOST_ROWS = 20
"""Rows shown of each table; the JSON has them all."""

UNATTRIBUTED = "unattributed"


def printable(text: str) -> str:
    """Return text that is safe on a terminal: control characters as escapes, never obeyed."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def print_capture(capture: Capture, stream: TextIO, *, in_color: bool) -> None:
    """Print the tables of a capture, with what was run and how far it can be relied on.

    Width and colours are the terminal's (COLUMNS, TERM and NO_COLOR are honoured).

    :param in_color: The stream ends at a terminal.
    """
    console = Console(file=stream, highlight=False, force_terminal=in_color or None)
    console.print(_heading(capture))
    totals = _totals(capture)
    for table in capture["tables"]:
        if table["name"] not in totals:
            console.print(_table(table, totals))
    for message in capture["messages"]:
        text = message["text"] if isinstance(message["text"], str) else message["text"]["text"]
        console.print(Text(printable(f"{message['type']}: {text}"), style="dim"))
    for problem in capture["quality"]["problems"]:
        style = "bold red" if capture["quality"]["grade"] == "void" else "yellow"
        console.print(Text(f"{problem['code']}: {problem['detail']}", style=style))


def _heading(capture: Capture) -> Text:
    recipe, host, window = capture["recipe"], capture["host"], capture["window"]
    parts = [recipe["id"] if recipe else "script"]
    parts += [
        f"--{name} {printable(str(value))}" for name, values in capture["target"].items() for value in values
    ]
    for name, given in capture["parameters"].items():
        parts += [f"--{name} {value}" for value in (given if isinstance(given, list) else [given])]
    if window["duration_seconds"] is not None:
        parts.append(f"{window['duration_seconds']:.1f} s")
    if host["kernel"]:
        parts.append(f"Linux {host['kernel']}")
    if host["bpftrace"]:
        parts.append(f"bpftrace {host['bpftrace']}")
    if window.get("recorded"):
        parts.insert(0, f"RECORDED {window['attached_at']}, not measured now")
    grade = capture["quality"]["grade"]
    text = Text(" · ".join(parts), style="bold")
    text.append(" · ")
    return text.append(grade, style={"usable": "green", "degraded": "yellow", "void": "bold red"}[grade])


def _totals(capture: Capture) -> dict[str, int]:
    """Return the tables without keys that repeat another table's sum; they are not shown apart."""
    by_name = {table["name"]: table for table in capture["tables"]}
    return {
        name: table["rows"][0]["value"]  # type: ignore[typeddict-item]
        for name, table in by_name.items()
        if not table["keys"] and name.removesuffix("_total") in by_name and name.endswith("_total")
    }


def _table(table: Table, totals: dict[str, int]) -> RenderableType:
    title = table["name"].replace("_", " ")
    rows: list[Any] = list(table["rows"])
    counted = sum(row["value"] for row in rows)
    total = totals.get(f"{table['name']}_total", counted)
    if not rows:
        return Text(f"\n{title}: none")
    drawn = RichTable(
        title=f"\n{title}: {total} {table['unit'] or ''}".rstrip(), title_justify="left", title_style="", box=None
    )
    for column in table["keys"]:
        drawn.add_column(column["name"], justify="right" if column["type"] in ("integer", "port") else "left")
    drawn.add_column(table["unit"] or "value", justify="right")
    for row in rows[:MOST_ROWS]:
        cells = [_cell(row["key"][column["name"]], row) for column in table["keys"]]
        drawn.add_row(*cells, str(row["value"]), style="dim" if row.get("unattributed") else "")
    if len(rows) <= MOST_ROWS:
        return drawn
    left = sum(row["value"] for row in rows[MOST_ROWS:])
    return Group(drawn, Text(f"… and {len(rows) - MOST_ROWS} more rows with {left}; the JSON has them", style="dim"))


def _cell(value: KeyValue, row: Any) -> str:
    if value is None:
        return UNATTRIBUTED if row.get("unattributed") else "-"
    if isinstance(value, dict):
        value = value["text"]
    # Names come from the traced host: no markup of theirs is obeyed.
    return printable(str(value)).replace("[", "\\[")
