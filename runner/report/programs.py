"""What BPF is loaded in a kernel, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.text import Text as RichText

from runner.capture.amounts import amount
from runner.report.console import new_console, text_of
from runner.report.words import printable, readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.programs.document import Attached, Holder, Map, Program, Programs, Statistics, Text, Total

MOST_ROWS = 40
"""Programs shown; the JSON has them all."""

MOST_PARTS = 8
"""Attachments, pins and holders shown of each."""

_UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
_LEFT = ("whose", "type", "name", "loaded")
_INDENT = 7


def format_programs(document: Programs, *, in_color: bool, width: int | None = None) -> str:
    """Return each program with what it costs, and below it what it is attached to and who holds it.

    :param in_color: The text goes to a terminal.
    :param width: Columns to use; None asks the terminal and COLUMNS.
    """
    console = new_console(in_color=in_color, width=width)
    host = document["host"]
    parts = (host["hostname"], document["taken_at"], f"Linux {host['kernel']}", f"bpftool {host['bpftool']}")
    console.print(RichText(" · ".join(printable(part) for part in parts), style="bold"), soft_wrap=True)
    console.print(RichText(_counting(document["statistics"])), soft_wrap=True)
    maps = {each["id"]: each for each in document["maps"]}
    shown = document["programs"][:MOST_ROWS]
    # What is ours is never left out for being cheap.
    shown = shown + [each for each in document["programs"][MOST_ROWS:] if each["ours"]]
    is_measured = document["statistics"]["measured_seconds"] is not None
    rows = [_cells(each, is_measured=is_measured) for each in shown]
    if rows:
        widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
        head = _line({name: name for name in widths}, widths)
        console.print(RichText(f"\n{head}", style="bold"), soft_wrap=True)
        for program, row in zip(shown, rows, strict=True):
            style = "green" if program["ours"] else ""
            console.print(RichText(_line(row, widths), style=style), soft_wrap=True)
            details = " · ".join(_details(program, maps))
            console.print(Padding(RichText(details, style="dim"), (0, 0, 0, _INDENT), expand=False))
    left = len(document["programs"]) - len(shown)
    if left:
        console.print(RichText(f"… and {left} more programs; the JSON has them (-f json)", style="dim"))
    console.print(RichText(""))
    unused = [each for each in document["maps"] if not each["programs"]]
    if unused:
        console.print(RichText(_unused(unused)))
    for name, total in (("all", document["totals"]["all"]), ("ours", document["totals"]["ours"])):
        console.print(RichText(_total(name, total), style="bold"))
    for note in document["notes"]:
        console.print(RichText(printable(note), style="yellow"))
    return text_of(console)


def _counting(statistics: Statistics) -> str:
    seconds = statistics["measured_seconds"]
    if seconds is not None:
        return f"run times: counted for {seconds:.2f} s"
    if statistics["enabled"]:
        return "run times: counted since kernel.bpf_stats_enabled is on"
    if statistics["enabled"] is None:
        return "run times: whether they are counted is not known (kernel.bpf_stats_enabled cannot be read)"
    return (
        "run times: not counted (kernel.bpf_stats_enabled is 0) but while somebody measures; "
        "--stats 2s has them counted for 2 s"
    )


def _cells(program: Program, *, is_measured: bool) -> dict[str, str]:
    counted = program["measured"]
    run_ns = counted["run_ns"] if counted else program["run_ns"]
    runs = counted["runs"] if counted else program["runs"]
    cells = {
        "id": str(program["id"]),
        "whose": "ours" if program["ours"] else "-",
        "type": printable(program["type"]),
        "name": readable(program["name"]) or "-",
        "loaded": program["loaded_at"] or "-",
        "uid": str(program["uid"]) if program["uid"] is not None else "-",
        "runs": str(runs) if runs is not None else "-",
        "time": amount(run_ns, "ns") if run_ns is not None else "-",
    }
    if is_measured:
        cells["CPU"] = f"{counted['cpu_ratio']:.3%}" if counted else "-"
    cells["memory"] = _bytes(program["memory_bytes"])
    cells["maps"] = _bytes(program["map_bytes"])
    return cells


def _line(row: Mapping[str, str], widths: Mapping[str, int]) -> str:
    cells = (
        text.ljust(widths[name]) if name in _LEFT else text.rjust(widths[name]) for name, text in row.items()
    )
    return "  ".join(cells).rstrip()


def _details(program: Program, maps: Mapping[int, Map]) -> Iterator[str]:
    yield _some([_place(each) for each in program["attached"]]) or "where it is attached is not known"
    holders = _some([_holder(each) for each in program["held_by"]])
    if holders:
        yield f"held by {holders}{_run(program)}"
    pins = _some([readable(pin) for pin in program["pins"]])
    if pins:
        yield f"pinned {pins}"
    if program["maps"]:
        yield "maps " + _some([_map(identity, maps) for identity in program["maps"]])
    if program["misses"]:
        yield f"left out {program['misses']} times"
    native = f"{program['native_bytes']} B native" if program["native_bytes"] else "interpreted"
    yield f"tag {printable(program['tag'])}, {program['translated_bytes']} B translated, {native}"


def _place(one: Attached) -> str:
    target = f" {readable(one['target'])}" if one["target"] is not None else ""
    times = f" ({one['times']} times)" if one["times"] > 1 else ""
    pins = f" pinned {_some([readable(pin) for pin in one['pins']])}" if one["pins"] else ""
    return f"{printable(one['kind'])}{target}{times}{pins}"


def _holder(one: Holder) -> str:
    return f"{readable(one['name']) or 'a process'} {one['pid']}"


def _run(program: Program) -> str:
    run = program["run"]
    if run is None:
        return ""
    if run["runner"] is None or run["command"] is None:
        return ", whose ebpf-recipe has ended"
    return f" of {_command(run['command'])} ({run['runner']})"


def _command(words: Sequence[Text]) -> str:
    """Return a command line from our own name on: an interpreter before it says nothing."""
    shown = [readable(word) for word in words]
    place = next((n for n, word in enumerate(shown) if word.rpartition("/")[2] == "ebpf-recipe"), 0)
    return " ".join([shown[place].rpartition("/")[2], *shown[place + 1 :]]) if shown else "ebpf-recipe"


def _map(identity: int, maps: Mapping[int, Map]) -> str:
    one = maps.get(identity)
    if one is None:
        return str(identity)
    parts = (str(identity), readable(one["name"]), _bytes(one["memory_bytes"]))
    return " ".join(part for part in parts if part)


def _unused(maps: Sequence[Map]) -> str:
    size = _bytes(sum(each["memory_bytes"] for each in maps))
    head = f"{len(maps)} map{'s' * (len(maps) != 1)} of {size} that no program names: "
    return head + _some([f"{each['id']} {readable(each['name'])}".rstrip() for each in maps])


def _total(name: str, total: Total) -> str:
    parts = [
        f"{total['programs']} programs of {_bytes(total['memory_bytes'])}",
        f"{total['maps']} maps of {_bytes(total['map_bytes'])}",
    ]
    counted = total["measured"]
    if counted is not None:
        spent = f"{amount(counted['run_ns'], 'ns')} in {counted['runs']} runs"
        parts.append(f"{spent}, {counted['cpu_ratio']:.3%} of one CPU")
    elif total["run_ns"] is not None:
        parts.append(f"{amount(total['run_ns'], 'ns')} in {total['runs']} runs")
    return f"{name}: {', '.join(parts)}"


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - MOST_PARTS} more" if len(texts) > MOST_PARTS else ""
    return ", ".join(texts[:MOST_PARTS]) + more


def _bytes(size: int) -> str:
    for unit, scale in _UNITS:
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} B"
