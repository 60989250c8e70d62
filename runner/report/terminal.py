"""A capture as a table on a terminal."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from runner.capture.amounts import amount, is_time, quantity
from runner.report.companions import format_companions
from runner.report.console import NARROWEST, new_console, text_of
from runner.report.events import format_events
from runner.report.gates import gate_line
from runner.report.histogram import format_histogram
from runner.report.overhead import format_budget, format_overhead
from runner.report.words import printable, readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.capture.declaration import Unit
    from runner.capture.document import (
        Capture,
        Event,
        Frame,
        KeyColumn,
        KeyValue,
        Message,
        Row,
        Stack,
        Table,
    )

MOST_ROWS = 20
"""Rows shown of each table; the JSON has them all."""

MOST_STACKS = 8
"""Rows with stacks, which take many lines each."""

MOST_HISTOGRAMS = 5

_MANY = ("port", "ip")
"""Types of keys that have many values which say little one by one."""

_AMOUNTS = ("value", "average", "total")
"""Fields of rows that are in the table's unit."""

_STACKS = ("kernel-stack", "user-stack")

_SUMS = ("count", "sum")

UNATTRIBUTED = "unattributed"


def format_capture(capture: Capture, *, in_color: bool) -> str:
    """Return the tables of a capture, with what was run and how far it can be relied on.

    Width and colours are the terminal's (COLUMNS, TERM and NO_COLOR are honoured).

    :param in_color: The text goes to a terminal.
    """
    console = new_console(in_color=in_color)
    console.print(_heading(capture), soft_wrap=True)
    totals = _totals(capture)
    for table in capture["tables"]:
        if table.get("total_of") not in totals and not _is_of_no_interest(table):
            console.print(*_drawn(table, totals), sep="\n")
    if capture.get("events"):
        console.print(*_events(capture["events"]), sep="\n", soft_wrap=True)
    _print_ending(console, capture)
    return text_of(console)


def format_ending(capture: Capture, *, in_color: bool) -> str:
    """Return what is said behind the tables of a capture: where its windows were shown, each with its own."""
    console = new_console(in_color=in_color)
    _print_ending(console, capture)
    return text_of(console)


def _events(events: Sequence[Event]) -> Iterator[Text]:
    yield Text(f"\nevents: {len(events)}")
    if len(events) > MOST_ROWS:
        yield Text(f"… {len(events) - MOST_ROWS} before these; the JSON has them", style="dim")
    yield Text(format_events(events[-MOST_ROWS:]))


def _print_ending(console: Console, capture: Capture) -> None:
    beside = format_companions(capture)
    if beside:
        console.print(Text("\n" + "\n".join(["beside the run:", *(f"  {line}" for line in beside)])))
    if capture["overhead"] is not None:
        console.print(Text("\n" + format_overhead(capture["overhead"]), style="dim"))
        if "budget" in capture["overhead"]:
            console.print(Text(format_budget(capture["overhead"]["budget"]), style="dim"))
    for gate in capture.get("gates", []):
        style = (
            "green" if gate["verdict"] == "pass" else "bold red" if gate["verdict"] == "fail" else "yellow"
        )
        console.print(Text(gate_line(gate), style=style))
    for message in capture["messages"]:
        console.print(Text(message_text(message).rstrip("\n"), style="dim"))
    for problem in capture["quality"]["problems"]:
        style = {"usable": "dim", "degraded": "yellow", "void": "bold red"}[capture["quality"]["grade"]]
        cure = f" ({problem['cure']})" if "cure" in problem else ""
        console.print(Text(f"{problem['code']}: {problem['detail']}{cure}", style=style))


def message_text(message: Message) -> str:
    """Return a message as people read it while it comes: a text as it is, a map as its table."""
    data = message.get("data")
    if isinstance(data, dict) and "rows" in data and "map" in data:
        stream = io.StringIO()
        console = Console(file=stream, highlight=False)
        console.width = max(console.width, NARROWEST)
        console.print(*_drawn(data, {}), sep="\n")  # type: ignore[arg-type]
        return stream.getvalue()
    text = message["text"]["text"] if isinstance(message["text"], dict) else message["text"]
    shown = "".join(c if c in "\n\t" else printable(c) for c in text)
    if message["type"] in ("stderr", "unreadable", "cut"):
        shown = f"{message['type']}: {shown}"
    # A printf may print a part of a line; everything else is a line.
    return shown if message["type"] == "printf" or shown.endswith("\n") else f"{shown}\n"


def _heading(capture: Capture) -> Text:
    recipe, host, window = capture["recipe"], capture["host"], capture["window"]
    if "index" in window:
        parts = [recipe["id"] if recipe else "script", f"window {window['index'] + 1}"]
        parts += [window["attached_at"] or "", f"{window['duration_seconds'] or 0:.1f} s"]
        return Text("\n" + " · ".join(parts) if window["index"] else " · ".join(parts), style="bold")
    program = capture.get("program")
    name = program.get("name", "script") if program else "script"
    parts = [recipe["id"] if recipe else printable(name)]
    parts += [f"--{name} {readable(value)}" for name, values in capture["target"].items() for value in values]
    if recipe is not None and "by" in recipe:
        parts.append(f"--by {recipe['by']}")
    for name, given in capture["parameters"].items():
        if recipe is None:
            parts += [printable(str(value)) for value in given]
            continue
        parts += [f"--{name} {value}" for value in (given if isinstance(given, list) else [given])]
    if host["hostname"]:
        parts.append(printable(host["hostname"]))
    if window["attached_at"] is not None:
        parts.append(window["attached_at"])
    if window["duration_seconds"] is not None:
        stopped = " (ended for its cost)" if window.get("ended_by") == "budget" else ""
        parts.append(f"{window['duration_seconds']:.1f} s{stopped}")
    if host["kernel"]:
        parts.append(f"Linux {host['kernel']}")
    if host["bpftrace"]:
        parts.append(f"bpftrace {host['bpftrace']}")
    if window.get("recorded"):
        parts.insert(0, "RECORDED, not measured now")
    grade = capture["quality"]["grade"]
    text = Text(" · ".join(parts), style="bold")
    text.append(" · ")
    return text.append(grade, style={"usable": "green", "degraded": "yellow", "void": "bold red"}[grade])


def _is_of_no_interest(table: Table) -> bool:
    """Whether a table counts what another one misses, and that is nothing, or events that are shown."""
    rows: Sequence[Any] = table["rows"]
    is_of_losses = any(of in table for of in ("unfollowed_of", "unreturned_of", "unseen_of"))
    return "events_of" in table or (is_of_losses and not any(row["value"] for row in rows))


def _totals(capture: Capture) -> dict[str, int]:
    """Return the totals of tables, by the table that each repeats the sum of; they are not shown apart."""
    kinds = {table["name"]: table["kind"] for table in capture["tables"]}
    return {
        table["total_of"]: sum(row["value"] for row in table["rows"])  # type: ignore[typeddict-item]
        for table in capture["tables"]
        if table["kind"] == "count" and "total_of" in table and kinds.get(table["total_of"]) in _SUMS
    }


def _drawn(table: Table, totals: dict[str, int]) -> Iterator[RenderableType]:
    """Return a table of whatever kind."""
    title = table["name"].replace("_", " ")
    rows: Sequence[Any] = table["rows"]
    if not rows:
        yield Text(f"\n{title}: none")
    elif table["kind"] == "histogram":
        for row in rows[:MOST_HISTOGRAMS]:
            yield from format_histogram(title, _key_text(table, row), table["unit"], row)
        if len(rows) > MOST_HISTOGRAMS:
            yield Text(f"… and {len(rows) - MOST_HISTOGRAMS} more histograms; the JSON has them", style="dim")
    elif table["kind"] in _SUMS:
        yield from _table(table, totals)
    else:
        yield from _plain_table(table)


def _key_text(table: Table, row: Row) -> str:
    return ", ".join(_cell(row["key"][column["name"]], column, row) for column in table["keys"])


def _plain_table(table: Table) -> Iterator[RenderableType]:
    """Return a table of a kind whose values do not add up."""
    names = {"stats": ("count", "average", "total"), "time-series": ("time", "value")}.get(
        table["kind"], ("value",)
    )
    unit = "" if is_time(table["unit"]) else table["unit"] or ""
    yield Text(f"\n{table['name'].replace('_', ' ')}: {table['kind']}, {unit}".rstrip(", "))
    drawn = RichTable(box=None)
    for column in table["keys"]:
        drawn.add_column(column["name"], justify=_side(column), overflow="fold")
    for name in names:
        drawn.add_column(name, justify="right")
    rows: Sequence[Any] = table["rows"]
    for row in rows[:MOST_ROWS]:
        cells = [_cell(row["key"][column["name"]], column, row) for column in table["keys"]]
        for point in row.get("points", [row])[-MOST_ROWS:]:
            drawn.add_row(*cells, *(_shown(name, point[name], table["unit"]) for name in names))
    yield drawn
    if len(rows) > MOST_ROWS:
        yield Text(f"… and {len(rows) - MOST_ROWS} more rows; the JSON has them", style="dim")


def _shown(name: str, value: Any, unit: Unit | None) -> str:
    return amount(value, unit) if name in _AMOUNTS and isinstance(value, int) else str(value)


def _table(table: Table, totals: dict[str, int]) -> Iterator[RenderableType]:
    """Return a table whose values add up."""
    title = table["name"].replace("_", " ")
    columns = [column["name"] for column in table["keys"]]
    lines = [_Line([row["key"][name] for name in columns], row["value"], row) for row in table["rows"]]  # type: ignore[typeddict-item]
    total = totals.get(table["name"], sum(line.value for line in lines))
    has_stacks = any(column["type"] in _STACKS for column in table["keys"])
    lines = _by_function(lines) if has_stacks else _collapsed(lines, table["keys"])
    most = MOST_STACKS if has_stacks else MOST_ROWS
    unknown = sum(line.value for line in lines if line.row.get("unattributed"))
    share = f", {amount(unknown, table['unit'])} of them unattributed" if unknown else ""
    yield Text(f"\n{title}: {quantity(total, table['unit'])}" + share)
    yield from _by_cgroup(table)
    if not columns:
        return
    drawn = RichTable(box=None)
    for column in table["keys"]:
        drawn.add_column(column["name"], justify=_side(column), overflow="fold")
    drawn.add_column("time" if is_time(table["unit"]) else table["unit"] or "value", justify="right")
    for line in lines[:most]:
        cells = [
            _cell(value, column, line.row) for value, column in zip(line.cells, table["keys"], strict=True)
        ]
        style = "dim" if line.row.get("unattributed") else ""
        drawn.add_row(*cells, amount(line.value, table["unit"]), style=style)
    yield drawn
    if len(lines) > most:
        left = amount(sum(line.value for line in lines[most:]), table["unit"])
        yield Text(f"… and {len(lines) - most} more rows with {left}; the JSON has them", style="dim")


def _by_cgroup(table: Table) -> Iterator[RenderableType]:
    """Say what each pod, container or cgroup has of a table that has them as a key (`--by`)."""
    column = next((each["name"] for each in table["keys"] if each["type"] == "cgroup"), None)
    if column is None:
        return
    sums: dict[str, int] = {}
    for row in table["rows"]:
        name = "?" if row.get("unattributed") else readable(row["key"][column] or f"no {column}")  # type: ignore[arg-type]
        sums[name] = sums.get(name, 0) + row["value"]  # type: ignore[typeddict-item]
    largest = sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))
    each = [f"{name} {amount(value, table['unit'])}" for name, value in largest[:MOST_ROWS]]
    more = f", and {len(largest) - MOST_ROWS} more" if len(largest) > MOST_ROWS else ""
    yield Text(f"by {column}: {', '.join(each)}{more}")


@dataclass(frozen=True, slots=True)
class _Line:
    cells: Sequence[KeyValue | _Several]
    value: int
    row: Row


@dataclass(frozen=True, slots=True)
class _Several:
    """So many different values of a column, in one line."""

    count: int


def _collapsed(lines: list[_Line], columns: Sequence[KeyColumn]) -> list[_Line]:
    """Put lines together that differ in one column only, where there are too many to read.

    The column is the one with the most different values, as the ports of clients are.
    """
    many = [index for index, column in enumerate(columns) if column["type"] in _MANY]
    if len(lines) <= MOST_ROWS or not many or len(columns) == 1:
        return lines
    column = max(many, key=lambda index: len({str(line.cells[index]) for line in lines}))
    groups: dict[str, list[_Line]] = {}
    for line in lines:
        rest = [*line.cells[:column], *line.cells[column + 1 :]]
        groups.setdefault(str(rest), []).append(line)
    merged = [_merged(group, column) for group in groups.values()]
    return sorted(merged, key=lambda line: -line.value)


def _by_function(lines: Sequence[_Line]) -> list[_Line]:
    """Put lines together whose stacks go through the same functions: where in them says little to people."""
    groups: dict[str, list[_Line]] = {}
    for line in lines:
        cells = [_without_offsets(cell) if isinstance(cell, list) else cell for cell in line.cells]
        unknown = line.row.get("unattributed", False)
        groups.setdefault(f"{cells} {unknown}", []).append(_Line(cells, line.value, line.row))
    merged = [
        _Line(group[0].cells, sum(line.value for line in group), group[0].row) for group in groups.values()
    ]
    return sorted(merged, key=lambda line: -line.value)


def _without_offsets(stack: Stack) -> Stack:
    return [{"symbol": frame["symbol"]} if "symbol" in frame else frame for frame in stack]


def _merged(group: list[_Line], column: int) -> _Line:
    if len(group) == 1:
        return group[0]
    first = group[0]
    cells = [*first.cells[:column], _Several(len(group)), *first.cells[column + 1 :]]
    return _Line(cells, sum(line.value for line in group), first.row)


def _side(column: KeyColumn) -> Literal["left", "right"]:
    return "right" if column["type"] in ("integer", "port") else "left"


def _cell(value: KeyValue | _Several, column: KeyColumn, row: Row) -> str:
    if isinstance(value, _Several):
        return f"({value.count} values)"
    if value is None:
        return UNATTRIBUTED if row.get("unattributed") and column["type"] == "comm" else "-"
    if isinstance(value, list):
        return "\n".join(_frame(frame) for frame in value)
    if isinstance(value, dict):
        value = value["text"]
    # What is not exact, or can be read in another way too, is not shown as if it were certain.
    doubt = " (?)" if column["name"] in (*row.get("damaged", ()), *row.get("ambiguous", ())) else ""
    # Names come from the traced host: no markup of theirs is obeyed.
    return printable(str(value)).replace("[", "\\[") + doubt


def _frame(frame: Frame) -> str:
    symbol = frame.get("symbol") or frame.get("address") or frame.get("build_id") or "?"
    offset = f"+{frame['offset']}" if "offset" in frame and "symbol" in frame else ""
    return (readable(symbol) + offset).replace("[", "\\[")
