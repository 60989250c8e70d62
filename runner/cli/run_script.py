"""`ebpf-recipe run path/to/script.bt`: any bpftrace script, with the capture that recipes have."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from runner.cli.recipe_command import WORKLOAD, WorkloadCommand
from runner.cli.run_end import finish
from runner.cli.run_once import elevations_for
from runner.cli.run_request import check_combination, check_command, read_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.capture.document import Capture, Message
    from runner.cli.output import Destination


class Format(StrEnum):
    """How a script's capture is printed."""

    AUTO = "auto"
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


def script_command(path: Path) -> Any:
    """Return the command that runs a script."""

    def invoke(
        ctx: typer.Context,
        arguments: Annotated[
            list[str] | None,
            typer.Argument(metavar="[ARGUMENT]...", help="What the script reads as $1, $2, …"),
        ] = None,
        duration: Duration = None,
        form: Annotated[
            Format,
            typer.Option(
                "-f",
                "--format",
                help="auto: what is printed and tables on a terminal, JSON elsewhere; jsonl: as it comes.",
            ),
        ] = Format.AUTO,
        output: Annotated[
            Path | None,
            typer.Option("-o", "--output", metavar="FILE", readable=False, help="Write to a file."),
        ] = None,
        bpftrace: BpftracePath = None,
        max_map_keys: MaxMapKeys = None,
        buffer_pages: BufferPages = None,
        check_reads: CheckReads = False,
        unsafe: Annotated[
            bool, typer.Option("--unsafe", help="Let the script call system() and what else is unsafe.")
        ] = False,
        sudo: Sudo = False,
        sudo_password_fd: SudoPasswordFd = None,
        overhead: Overhead = Measured.SLICES,
        budget: Budget = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Print what bpftrace would be given, and do not run it.")
        ] = False,
    ) -> None:
        _run(
            path, ctx.meta.get(WORKLOAD), arguments or [], duration, form, output, bpftrace, max_map_keys,
            buffer_pages, check_reads, unsafe, sudo, sudo_password_fd, overhead, budget,
            dry_run,
        )  # fmt: skip

    one = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    one.command(
        str(path),
        cls=WorkloadCommand,
        help="Run a bpftrace script and print its capture: every map it prints is a table.",
        options_metavar="[OPTIONS] [-- COMMAND ...]",
    )(invoke)
    return typer.main.get_command(one)


def _run(
    path: Path,
    workload_argv: list[str] | None,
    arguments: list[str],
    duration: str | None,
    form: Format,
    output: Path | None,
    bpftrace: str | None,
    max_map_keys: str | None,
    buffer_pages: str | None,
    check_reads: bool,
    unsafe: bool,
    sudo: bool,
    sudo_password_fd: int | None,
    overhead: Measured,
    budget: str | None,
    dry_run: bool,
) -> None:
    from runner.bpftrace.version import ask_bpftrace
    from runner.cli.decode import read_script
    from runner.cli.output import Destination
    from runner.cli.progress import progress_for_stderr
    from runner.interrupts import Interrupts
    from runner.recipe.parameters import parse_count, parse_power
    from runner.recipe.shares import parse_share
    from runner.workload import Workload

    is_elevated = sudo or sudo_password_fd is not None
    check_combination(
        {
            "--dry-run": dry_run,
            "--output": output is not None,
            "-- COMMAND": workload_argv is not None,
            "--sudo": is_elevated,
            "--duration": duration is not None,
            "--budget": budget is not None,
            "--overhead off": overhead is Measured.OFF,
        }
    )
    check_command(workload_argv)
    script = read_script(path)
    seconds = read_duration(duration, is_open=workload_argv is not None)
    room = parse_count("--max-map-keys", max_map_keys) if max_map_keys is not None else None
    pages = parse_power("--buffer-pages", buffer_pages) if buffer_pages is not None else None
    share = parse_share("--budget", budget) if budget is not None else None
    if dry_run:
        from runner.bpftrace.script_frame import carrier_for, frame_script
        from runner.cli.output import print_text

        carrier = carrier_for(script, ask_bpftrace(bpftrace)().dialect)
        print_text(frame_script(script, carrier, runner=None, limit_seconds=None).text)
        return
    destination = Destination(output)
    with Interrupts() as interrupts:
        workload = Workload(workload_argv) if workload_argv else None
        found = ask_bpftrace(bpftrace)
        # It answers while these are loaded.
        from runner.errors import HostRefused, TraceFailed
        from runner.plan import check_privilege, host_facts
        from runner.run_script import ScriptPlan, run_script

        elevation = elevations_for(sudo_password_fd)() if is_elevated else None
        if elevation is None:
            check_privilege()
        if share is not None:
            from runner.cli.budget import check_measurable

            check_measurable(is_elevated=elevation is not None)
        release = found()
        plan = ScriptPlan(
            script, release, host_facts(None, release), arguments, is_unsafe=unsafe, name=path.name
        )
        printer = _Printer(form, destination)
        bar = None if printer.is_live or not sys.stderr.isatty() else progress_for_stderr(seconds)
        from contextlib import nullcontext

        try:
            with bar or nullcontext():
                capture = run_script(
                    plan,
                    duration_seconds=seconds,
                    workload=workload,
                    max_map_keys=room,
                    buffer_pages=pages,
                    check_reads=check_reads,
                    interrupts=interrupts,
                    elevation=elevation,
                    extent=overhead.value,
                    budget=share,
                    watcher=bar,
                    on_message=printer.message if printer.is_live else None,
                )
        except (TraceFailed, HostRefused) as error:
            from runner.bpftrace.diagnosis import MISTAKE_IN_RECIPE
            from runner.bpftrace.script_frame import own_places

            error.message = own_places(error.message, str(path), script)
            if error.hint == MISTAKE_IN_RECIPE:
                error.hint = "this is a mistake in the script"
            raise
        interrupts.raise_from_now_on()
        printer.capture(capture)
    finish(capture)


class _Printer:
    """Prints what a script prints as it comes, and the capture at the end."""

    def __init__(self, form: Format, destination: Destination) -> None:
        self._on_terminal = destination.path is None and sys.stdout.isatty()
        self._form = form
        self._destination = destination
        self._is_table = form is Format.TABLE or (form is Format.AUTO and self._on_terminal)
        self.is_live = destination.path is None and (form is Format.JSONL or self._is_table)

    @property
    def message(self) -> Callable[[Message], None]:
        """Return what takes a message while the script runs."""
        return self._print_line if self._form is Format.JSONL else self._print_text

    def _print_line(self, message: Message) -> None:
        from runner.capture.stream import encode_message

        self._destination.write_pieces([encode_message(message)])

    def _print_text(self, message: Message) -> None:
        from runner.report.terminal import message_text

        self._destination.write_pieces([message_text(message).encode()])

    def capture(self, capture: Capture) -> None:
        """Print the capture."""
        from runner.capture.encode import encode_capture
        from runner.capture.stream import encode_line, encode_message
        from runner.report.terminal import format_capture

        if self._form is Format.JSONL:
            messages = capture["messages"]
            capture["messages"] = []
            lines = [encode_message(message) for message in messages]
            self._destination.write_pieces([*lines, encode_line(capture)])
        elif self._is_table:
            self._destination.write(format_capture(capture, in_color=self._on_terminal).encode())
        else:
            self._destination.write(encode_capture(capture))
