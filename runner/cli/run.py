"""`ebpf-recipe run RECIPE`: every recipe is a subcommand with options of its own."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.gates import CountsAs, Gates, InconclusiveAs
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
from runner.cli.recipe_command import WORKLOAD, WorkloadCommand, recipe_command
from runner.cli.recipes_option import RecipeGroup, Recipes
from runner.recipe.catalogue import recipe_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.bpftrace.elevation import Elevation
    from runner.capture.document import Capture, Event
    from runner.cli.output import Destination
    from runner.interrupts import Interrupts
    from runner.outcome import Outcome
    from runner.overhead import Extent
    from runner.plan import Plan
    from runner.recipe.load import LoadedRecipe
    from runner.recipe.model import Recipe
    from runner.workload import Workload

DEFAULT_DURATION = "10s"
_EXCLUDES = {
    "--dry-run": ("--replay", "--record", "--output", "-- COMMAND", "--sudo", "--budget", "--gate"),
    "--replay": ("--record", "-- COMMAND", "--sudo", "--duration", "--interval", "--budget"),
    "--budget": ("--overhead off",),
    "--interval": ("--record", "--dry-run"),
}


class Format(StrEnum):
    """How a capture is printed."""

    AUTO = "auto"
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


class RunGroup(RecipeGroup):
    """The recipes as commands, each made when it is asked for."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a recipe, or of a script that is named by its path.

        :raises ValueRefused: There is no such recipe, or it has mistakes.
        """
        if cmd_name.endswith(".bt") or "/" in cmd_name:
            from runner.cli.run_script import script_command

            return script_command(Path(cmd_name))
        if cmd_name.startswith("-"):
            return None
        if cmd_name not in recipe_ids() and Path(cmd_name).is_file():
            from runner.errors import ValueRefused

            raise ValueRefused(f"there is no recipe {cmd_name!r}", hint=f"to run the script: ./{cmd_name}")
        loaded = self.find(ctx, cmd_name)
        if loaded is None:
            return None
        return recipe_command(
            loaded,
            _common_options,
            _run,
            cls=WorkloadCommand,
            options_metavar="[OPTIONS] [-- COMMAND ...]",
        )


def _common_options(
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
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            readable=False,
            help="Write to a file, as JSON unless -f says otherwise; with -f table and FILE.json to both.",
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


def _run(
    ctx: typer.Context,
    loaded: LoadedRecipe,
    texts: Mapping[str, tuple[str, ...]],
    *,
    duration: str | None,
    form: Format,
    interval: str | None,
    count: str | None,
    output: Path | None,
    bpftrace: str | None,
    max_map_keys: str | None,
    buffer_pages: str | None,
    check_reads: bool,
    sudo: bool,
    sudo_password_fd: int | None,
    overhead: Measured,
    budget: str | None,
    gate: list[str] | None,
    inconclusive: CountsAs | None,
    record: Path | None,
    replay: Path | None,
    exact: bool,
    by: str | None,
    force: bool,
    dry_run: bool,
    recipes: list[Path] | None,
) -> None:
    from runner.bpftrace.version import ask_bpftrace
    from runner.cli.gates import decide, exit_by_gates, parse_gates, say_gates
    from runner.cli.output import Destination, print_text, say
    from runner.errors import ValueRefused
    from runner.interrupts import Interrupts
    from runner.recipe.by import split_by
    from runner.recipe.cgroups import cgroups_asked_for
    from runner.recipe.durations import parse_duration, parse_interval
    from runner.recipe.given import parse_given
    from runner.recipe.parameters import parse_count, parse_power
    from runner.recipe.shares import parse_share
    from runner.workload import Workload

    del recipes  # they were added before this one was looked up
    workload_argv: list[str] | None = ctx.meta.get(WORKLOAD)
    check_combination(
        {
            "--dry-run": dry_run,
            "--replay": replay is not None,
            "--record": record is not None,
            "--output": output is not None,
            "-- COMMAND": workload_argv is not None,
            "--sudo": sudo or sudo_password_fd is not None,
            "--duration": duration is not None,
            "--interval": interval is not None,
            "--budget": budget is not None,
            "--gate": bool(gate),
            "--overhead off": overhead is Measured.OFF,
        }
    )
    if count is not None and interval is None:
        raise typer.BadParameter("--count counts windows: it needs an --interval")
    if workload_argv is not None and duration is not None:
        raise typer.BadParameter("a run lasts as long as its COMMAND or for a --duration, not both")
    if workload_argv == []:
        raise typer.BadParameter("there is no COMMAND behind --")
    gates = parse_gates(gate, inconclusive)
    if by is not None:
        loaded = split_by(loaded, by)
    if gates:
        from runner.recipe.thresholds import check_gates, with_thresholds

        check_gates(loaded.recipe, gates)
        texts = with_thresholds(loaded.recipe, gates, texts)
    values = parse_given(loaded.recipe, texts)
    if exact and not cgroups_asked_for(values):
        raise typer.BadParameter("--exact says something of --cgroup, --container and --pod alone")
    is_open = workload_argv is not None or (interval is not None and duration is None)
    seconds = (
        None if is_open else parse_duration("--duration", DEFAULT_DURATION if duration is None else duration)
    )
    window_ms = parse_interval("--interval", interval) if interval is not None else None
    most = parse_count("--count", count) if count is not None else None
    room = parse_count("--max-map-keys", max_map_keys) if max_map_keys is not None else None
    pages = parse_power("--buffer-pages", buffer_pages) if buffer_pages is not None else None
    share = parse_share("--budget", budget) if budget is not None else None
    if dry_run:
        from runner.plan import plan_run

        program = plan_run(loaded, values, ask_bpftrace(bpftrace)(), is_exact=exact).program
        print_text(program.text)
        return
    destination = Destination(output)
    with Interrupts() as interrupts:
        if replay is not None:
            from runner.replay import replay as replay_run

            interrupts.raise_from_now_on()
            capture = _decode(replay_run(loaded, values, replay))
            decide(gates, capture, inconclusive)
            print_capture(capture, form, destination)
            say_gates(capture)
            exit_by_gates(capture)
            return
        workload = Workload(workload_argv) if workload_argv else None
        recording = Destination(record, option="--record") if record is not None else None
        if recording is not None and recording.is_same_as(destination):
            raise ValueRefused("--record and the result would go to the same file")
        found = ask_bpftrace(bpftrace)
        # It answers while these are loaded.
        from runner.plan import (
            absent_names,
            check_harmless,
            check_privilege,
            check_processes,
            check_quiet,
            plan_run,
        )
        from runner.run import execute  # noqa: F401

        elevation = elevation_for(sudo_password_fd) if sudo or sudo_password_fd is not None else None
        if elevation is None:
            check_privilege()
        if share is not None:
            from runner.cli.budget import check_measurable

            check_measurable(is_elevated=elevation is not None)
        plan = plan_run(loaded, values, found(), is_exact=exact)
        check_quiet(loaded.recipe)
        if not force:
            check_harmless(plan)
        check_processes(values.get("pid", ()))
        for function, place in plan.places:
            if place.path != function.path:
                say(f"note: {function.text} is looked for in {place.path}")
        # A command may be, or start, the process that is meant.
        for name in absent_names(values.get("comm", ())) if workload is None else ():
            say(f"note: no process is called {name!r} now")
        printer = None
        if window_ms is not None or loaded.recipe.events:
            from runner.cli.live_printer import LivePrinter

            printer = LivePrinter(form.value, destination, plan, has_windows=window_ms is not None)
            if window_ms is None and not printer.prints_events:
                printer = None
        outcome = _trace(
            plan,
            seconds,
            workload,
            room,
            pages,
            check_reads,
            interrupts,
            elevation,
            overhead.value,
            share,
            (window_ms, printer.window, most) if window_ms is not None and printer is not None else None,
            printer.event if printer is not None and printer.prints_events else None,
            is_recorded=recording is not None,
        )
        interrupts.raise_from_now_on()
        capture = _decode(outcome)
        decide(gates, capture, inconclusive)
        if recording is not None:
            from runner.replay import encode_outcome

            recording.write(encode_outcome(outcome))
        if printer is not None:
            printer.end(capture)
        else:
            print_capture(capture, form, destination)
    say_gates(capture)
    finish(capture, loaded.recipe)
    exit_by_gates(capture)


def check_combination(given: Mapping[str, bool]) -> None:
    """Refuse options that would be ignored."""
    for first, others in _EXCLUDES.items():
        for other in others:
            if given.get(first) and given.get(other):
                raise typer.BadParameter(f"{first} and {other} do not go together")


def elevation_for(password_descriptor: int | None) -> Elevation | None:
    """Return how bpftrace is raised; None for root, who needs nothing.

    :raises HostRefused: There is no sudo.
    """
    import shutil

    from runner.cli.password import from_descriptor, from_terminal
    from runner.errors import HostRefused
    from runner.host.kernel import is_root

    if is_root():
        return None
    from runner.bpftrace.elevation import Elevation

    sudo = shutil.which("sudo")
    if sudo is None:
        raise HostRefused("sudo is not installed", hint="run it as root")
    if password_descriptor is not None:
        return Elevation(sudo, from_descriptor(password_descriptor))
    return Elevation(sudo, from_terminal)


def _trace(
    plan: Plan,
    seconds: float | None,
    workload: Workload | None,
    room: int | None,
    pages: int | None,
    check_reads: bool,
    interrupts: Interrupts,
    elevation: Elevation | None,
    extent: Extent,
    budget: float | None,
    windows: tuple[int, Callable[[Capture], None], int | None] | None,
    on_event: Callable[[Event], None] | None,
    *,
    is_recorded: bool,
) -> Outcome:
    from contextlib import nullcontext

    from runner.cli.progress import progress_for_stderr
    from runner.run import Windows, execute

    bar = progress_for_stderr(seconds) if windows is None and on_event is None else None
    with bar or nullcontext():
        return execute(
            plan,
            duration_seconds=seconds,
            workload=workload,
            max_map_keys=room,
            buffer_pages=pages,
            check_reads=check_reads,
            interrupts=interrupts,
            elevation=elevation,
            extent=extent,
            budget=budget,
            watcher=bar,
            watch_events=bar is not None,
            windows=Windows(*windows) if windows is not None else None,
            on_event=on_event,
            is_recorded=is_recorded,
        )


def _decode(outcome: Outcome) -> Capture:
    from runner.cli.output import keep, say
    from runner.errors import NotUnderstood

    try:
        return outcome.capture()
    except NotUnderstood as error:
        error.hint = f"what bpftrace printed is kept in {keep(error.raw)}"
        raise
    except Exception:
        say(f"what bpftrace printed is kept in {keep(bytes(outcome.recording.stdout))}")
        raise


def print_capture(capture: Capture, form: Format, destination: Destination) -> None:
    from runner.capture.encode import encode_capture
    from runner.capture.stream import encode_line
    from runner.cli.output import print_text
    from runner.report.terminal import format_capture

    has_terminal = sys.stdout.isatty()
    on_terminal = destination.path is None and has_terminal
    if form is Format.TABLE and destination.path is not None and destination.path.suffix == ".json":
        destination.write(encode_capture(capture))
        print_text(format_capture(capture, in_color=has_terminal))
        return
    if form is Format.TABLE or (form is Format.AUTO and on_terminal):
        destination.write(format_capture(capture, in_color=on_terminal).encode())
        return
    if form is Format.JSONL:
        destination.write(encode_line(capture))
        return
    destination.write(encode_capture(capture))
    if form is Format.AUTO and has_terminal:
        print_text(format_capture(capture, in_color=True))


def finish(capture: Capture, recipe: Recipe | None = None) -> None:
    """Fail where the run or its workload did: a failed load never looks like a good measurement.

    :param recipe: None where a script ran.
    """
    from runner.cli.budget import refusal
    from runner.cli.output import say
    from runner.errors import TraceFailed, WorkloadFailed

    window = capture["window"]
    if window["ended_by"] == "target":
        say("note: the run ended before its time, for what it was asked for has ended")
    refused = refusal(capture, recipe)
    if refused is None and window["ended_by"] == "budget":
        for problem in capture["quality"]["problems"]:
            if problem["code"] == "over-budget":
                say(f"note: the run was stopped: {problem['detail']}")
    if capture["quality"]["grade"] == "degraded":
        for problem in capture["quality"]["problems"]:
            # That the command failed is said below, and why the run ended is said already.
            if problem["code"] not in ("workload-failed", "over-budget"):
                say(f"note: {problem['code']}: {problem['detail']}")
    if window["ended_by"] == "crash" or capture["quality"]["grade"] == "void":
        details = "; ".join(problem["detail"] for problem in capture["quality"]["problems"])
        raise TraceFailed(f"the run is void: {details or 'bpftrace ended by itself'}")
    workload = window.get("workload")
    if workload and window["ended_by"] in ("workload", "budget") and workload["exit_code"] != 0:
        if refused is not None:
            say(f"note: {refused.message}")
        code = workload["exit_code"]
        how = f"ended by signal {-code}" if code is not None and code < 0 else f"exit {code}"
        name = workload["argv"][0]
        shown = name["text"] if isinstance(name, dict) else name
        raise WorkloadFailed(f"the command {shown!r} failed: {how}")
    if refused is not None:
        raise refused
