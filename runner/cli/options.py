"""Options that several commands have: the same words everywhere."""

from enum import StrEnum
from typing import Annotated

import typer


class Measured(StrEnum):
    """In how much of the window run times are counted."""

    SLICES = "slices"
    WHOLE = "whole"
    OFF = "off"


Duration = Annotated[
    str | None,
    typer.Option(
        "-d",
        "--duration",
        metavar="DURATION",
        help="How long to trace: 10s, 500ms, 2m; COMMAND is ended then. "
        "[default: 10s; with -- COMMAND: as long as it runs]",
        show_default=False,
    ),
]

BpftracePath = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="The bpftrace to use. [default: $EBPF_RECIPE_BPFTRACE, else the one on PATH]"
    ),
]

MaxMapKeys = Annotated[
    str | None, typer.Option(metavar="N", help="Room for keys in each map. [1 to 10000000]")
]

BufferPages = Annotated[
    str | None,
    typer.Option(metavar="N", help="Pages of the buffer for what is printed. [a power of 2, 1 to 65536]"),
]

CheckReads = Annotated[
    bool,
    typer.Option("--check-reads", help="Have every read of memory that fails told: it is zero else."),
]

Sudo = Annotated[bool, typer.Option("--sudo", help="Run bpftrace, and nothing else, through sudo.")]

SudoPasswordFd = Annotated[
    int | None,
    typer.Option(metavar="N", min=0, help="Read sudo's password from this descriptor, not the terminal."),
]

Budget = Annotated[
    str | None,
    typer.Option(
        metavar="PERCENT",
        help="End the run where it takes more of all processors than this: 1%, 0.5%. [0.01% to 100%]",
        show_default=False,
    ),
]

Overhead = Annotated[
    Measured,
    typer.Option(help="When to count the run time of our BPF programs: it slows all of the host's."),
]
