"""`ebpf-recipe programs`: what BPF is loaded in this kernel, whose it is, and what it costs."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from runner.cli.output import Destination
    from runner.host.bpftool import Bpftool

LONGEST_STATS_SECONDS = 60.0
"""Every program of the host is slower meanwhile."""


class Form(StrEnum):
    """How it is printed."""

    AUTO = "auto"
    TABLE = "table"
    JSON = "json"


def list_loaded(
    form: Annotated[
        Form, typer.Option("-f", "--format", help="auto: a table on a terminal, JSON elsewhere.")
    ] = Form.AUTO,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where it goes. [default: stdout]")
    ] = None,
    stats: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Have run times counted for so long: it slows all programs. [to 1m]",
        ),
    ] = None,
    map_named: Annotated[
        str | None, typer.Option("--map", metavar="ID|NAME", help="Print the entries of a map, as JSON.")
    ] = None,
    most: Annotated[
        int, typer.Option(metavar="N", min=1, max=1_000_000, help="How many entries of it.")
    ] = 1000,
    disassembled: Annotated[
        int | None,
        typer.Option("--disassemble", metavar="ID", min=1, help="Print the instructions of one of ours."),
    ] = None,
    jited: Annotated[bool, typer.Option("--jited", help="… the processor's, not the kernel's.")] = False,
    of_any: Annotated[bool, typer.Option("--any", help="… of a program of anybody's.")] = False,
    bpftool: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="The bpftool to use. [default: $EBPF_RECIPE_BPFTOOL, else the one on PATH]"
        ),
    ] = None,
) -> None:
    """Say what BPF is loaded in this kernel, whose it is, and what it costs."""
    from runner.cli.output import Destination
    from runner.host.bpftool import find_bpftool

    seconds = _checked(form, stats, map_named, disassembled, jited=jited, of_any=of_any)
    destination = Destination(output)
    tool = find_bpftool(bpftool)
    if map_named is not None:
        from runner.cli.output import say
        from runner.programs.map_dump import dump_map, encode_dump

        dump = dump_map(tool, map_named, most=most)
        destination.write(encode_dump(dump))
        if dump["cut"] is not None:
            say(dump["cut"])
        return
    if disassembled is not None:
        from runner.programs.disassembly import disassemble
        from runner.report.words import printable

        text = disassemble(tool, disassembled, is_native=jited, of_any=of_any)
        lines = (printable(line.expandtabs()) for line in text.splitlines())
        destination.write("".join(f"{line}\n" for line in lines).encode())
        return
    _list(tool, form, destination, seconds)


def _checked(
    form: Form, stats: str | None, named: str | None, disassembled: int | None, *, jited: bool, of_any: bool
) -> float | None:
    """Refuse options that say nothing together; return how long to count.

    :raises ValueRefused: They do not go together, or the duration is none.
    """
    from runner.errors import ValueRefused
    from runner.recipe.durations import parse_duration

    if named is not None and disassembled is not None:
        raise ValueRefused("--map and --disassemble: one at a time")
    if (jited or of_any) and disassembled is None:
        raise ValueRefused(f"{'--jited' if jited else '--any'} is of --disassemble ID")
    if named is not None and form == Form.TABLE:
        raise ValueRefused("--map prints JSON", hint="leave -f out")
    if disassembled is not None and form != Form.AUTO:
        raise ValueRefused("--disassemble prints text", hint="leave -f out")
    if stats is None:
        return None
    if named is not None or disassembled is not None:
        raise ValueRefused("--stats is of the list of programs alone")
    seconds = parse_duration("--stats", stats)
    if seconds > LONGEST_STATS_SECONDS:
        raise ValueRefused(f"--stats {stats}: all programs are slower meanwhile", hint="1m at most")
    return seconds


def _list(tool: Bpftool, form: Form, destination: Destination, seconds: float | None) -> None:
    from runner.programs.survey import survey
    from runner.report.programs import format_programs

    document = survey(tool, measure_seconds=seconds)
    on_terminal = destination.path is None and sys.stdout.isatty()
    if form == Form.TABLE or (form == Form.AUTO and on_terminal):
        destination.write(format_programs(document, in_color=on_terminal).encode())
        return
    import orjson

    destination.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
