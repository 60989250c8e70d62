"""The options that every recipe has under `run`, and what they hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from runner.cli.gates import CountsAs, Gates, InconclusiveAs
from runner.cli.junit import Junit
from runner.cli.options import (
    BpftracePath,
    Budget,
    BufferPages,
    CheckReads,
    Duration,
    MaxMapKeys,
    Measured,
    Overhead,
    Sudo,
    SudoPasswordFd,
)
from runner.cli.recipes_option import Recipes


class Format(StrEnum):
    """How a capture is printed."""

    AUTO = "auto"
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"

    def is_printed_at_once(self, has_terminal: bool) -> bool:
        """Whether captures go to stdout one by one: not as one document of JSON."""
        return self is Format.JSONL or self.is_table(has_terminal)

    def is_table(self, has_terminal: bool) -> bool:
        """Whether stdout gets tables."""
        return self is Format.TABLE or (self is Format.AUTO and has_terminal)


def run_options(
    duration: Duration = None,
    form: Annotated[
        Format,
        typer.Option(
            "-f",
            "--format",
            help="auto: a table on a terminal, JSON elsewhere; jsonl: events and windows as they come.",
        ),
    ] = Format.AUTO,
    interval: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="Print what came in each such window, until Ctrl-C or --count. [100ms and longer]",
            show_default=False,
        ),
    ] = None,
    count: Annotated[
        str | None, typer.Option(metavar="N", help="End after so many windows.", show_default=False)
    ] = None,
    windows: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Cut the --duration into N equal windows, each a capture of its own. [100ms and longer]",
            show_default=False,
        ),
    ] = None,
    repeat: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            help="Run N times, one after the other: independent runs of COMMAND or --duration. [1 to 1000]",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            readable=False,
            help="Write to a file, as JSON unless -f says otherwise; with -f table and FILE.json to both. "
            "With --windows and --repeat a directory: a file for each.",
        ),
    ] = None,
    bpftrace: BpftracePath = None,
    max_map_keys: MaxMapKeys = None,
    buffer_pages: BufferPages = None,
    check_reads: CheckReads = False,
    sudo: Sudo = False,
    sudo_password_fd: SudoPasswordFd = None,
    overhead: Overhead = Measured.SLICES,
    budget: Budget = None,
    gate: Gates = None,
    inconclusive: InconclusiveAs = None,
    junit: Junit = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", readable=False, help="Also keep what bpftrace printed, for --replay."),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,
            help="Decode a recorded run of the same command; nothing is traced.",
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option("--exact", help="Of --cgroup, --container, --pod: without the cgroups below."),
    ] = False,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="Say of each row where its task was. [pod, container, cgroup]",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Run although it may harm the target; without it that is refused."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the program for this host and do not run it.")
    ] = False,
    recipes: Recipes = None,
) -> None:
    """Carry the options that every recipe has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The options as they were typed."""

    duration: str | None
    form: Format
    interval: str | None
    count: str | None
    windows: str | None
    repeat: str | None
    output: Path | None
    bpftrace: str | None
    max_map_keys: str | None
    buffer_pages: str | None
    check_reads: bool
    sudo: bool
    sudo_password_fd: int | None
    overhead: Measured
    budget: str | None
    gate: list[str] | None
    inconclusive: CountsAs | None
    junit: Path | None
    record: Path | None
    replay: Path | None
    exact: bool
    by: str | None
    force: bool
    dry_run: bool
    recipes: list[Path] | None
    """They were added before the recipe was looked up."""

    @property
    def is_elevated(self) -> bool:
        """Whether sudo is asked for."""
        return self.sudo or self.sudo_password_fd is not None
