"""One run of a recipe for the command line: checked, traced, decoded, judged and printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.bpftrace.elevation import Elevation
    from runner.bpftrace.version import Bpftrace
    from runner.capture.document import Capture
    from runner.cli.live_printer import LivePrinter
    from runner.cli.output import Destination
    from runner.cli.run_request import Request
    from runner.cli.several import Several
    from runner.interrupts import Interrupts
    from runner.outcome import Outcome
    from runner.plan import Plan
    from runner.quiet import QuietCheck
    from runner.workload import Workload


def run_once(
    request: Request,
    release: Bpftrace,
    elevation: Elevation | None,
    interrupts: Interrupts,
    destination: Destination,
    quiet: QuietCheck,
    several: Several | None = None,
    recording: Destination | None = None,
) -> Capture:
    """Run a recipe once, print what it says, and return the capture of the whole run.

    :param release: The bpftrace to use.
    :param quiet: Refuses the run where other programs would make it lose samples.
    :param several: Takes captures as JSON, where there are more than one.
    :param recording: Where what bpftrace printed is to go, too.
    """
    from runner.cli.gates import decide
    from runner.cli.print_capture import print_capture
    from runner.workload import Workload

    given = request.given
    quiet.begin()
    workload = Workload(request.command) if request.command else None
    plan = _planned(request, release, has_command=workload is not None)
    printer = _live_printer(request, plan, destination, several)
    outcome = _trace(
        request, plan, workload, interrupts, elevation, printer, quiet, is_recorded=recording is not None
    )
    interrupts.raise_from_now_on()
    capture = decode(outcome)
    decide(request.gates, capture, given.inconclusive)
    if recording is not None:
        from runner.replay import encode_outcome

        recording.write(encode_outcome(outcome))
    if printer is not None:
        printer.end(capture)
        _say_missing_windows(request, capture, printer)
    else:
        print_capture(capture, given.form.value, destination, several)
    return capture


def elevations_for(password_descriptor: int | None) -> Callable[[], Elevation | None]:
    """Return what says for each run how bpftrace is raised; None for root, who needs nothing.

    :raises HostRefused: There is no sudo.
    """
    import shutil

    from runner.cli.password import Remembered, from_descriptor, from_terminal
    from runner.errors import HostRefused
    from runner.host.kernel import is_root

    if is_root():
        return lambda: None
    from runner.bpftrace.elevation import Elevation

    sudo = shutil.which("sudo")
    if sudo is None:
        raise HostRefused("sudo is not installed", hint="run it as root")
    asked = from_terminal if password_descriptor is None else from_descriptor(password_descriptor)
    remembered = Remembered(asked)
    return lambda: Elevation(sudo, remembered.for_one_run())


def decode(outcome: Outcome) -> Capture:
    """Decode what a run left; where that fails, what bpftrace printed is kept."""
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


def _planned(request: Request, release: Bpftrace, *, has_command: bool) -> Plan:
    """Return what is to be run on this host now, and say what is worth saying of it."""
    from runner.cli.output import say
    from runner.plan import absent_names, check_harmless, check_processes, plan_run

    plan = plan_run(request.loaded, request.values, release, is_exact=request.given.exact)
    if not request.given.force:
        check_harmless(plan)
    check_processes(request.values.get("pid", ()))
    for function, place in plan.places:
        if place.path != function.path:
            say(f"note: {function.text} is looked for in {place.path}")
    # A command may be, or start, the process that is meant.
    for name in () if has_command else absent_names(request.values.get("comm", ())):
        say(f"note: no process is called {name!r} now")
    return plan


def _live_printer(
    request: Request, plan: Plan, destination: Destination, several: Several | None
) -> LivePrinter | None:
    """Return what prints windows and events as they come; None where neither is asked for."""
    has_windows = request.window_ms is not None
    if not has_windows and not plan.loaded.recipe.events:
        return None
    from runner.cli.live_printer import LivePrinter

    printer = LivePrinter(request.given.form.value, destination, plan, several, has_windows=has_windows)
    return printer if has_windows or printer.prints_events else None


def _trace(
    request: Request,
    plan: Plan,
    workload: Workload | None,
    interrupts: Interrupts,
    elevation: Elevation | None,
    printer: LivePrinter | None,
    quiet: QuietCheck,
    *,
    is_recorded: bool,
) -> Outcome:
    import sys
    from contextlib import nullcontext

    from runner.run import Windows, execute

    windows = None
    if request.window_ms is not None and printer is not None:
        windows = Windows(request.window_ms, printer.window, request.most)
    on_event = printer.event if printer is not None and printer.prints_events else None
    bar = None
    if windows is None and on_event is None and sys.stderr.isatty():
        # Rich takes as long to load as much else.
        from runner.cli.progress import progress_for_stderr

        bar = progress_for_stderr(request.seconds)
    with bar or nullcontext():
        return execute(
            plan,
            duration_seconds=request.seconds,
            workload=workload,
            max_map_keys=request.room,
            buffer_pages=request.pages,
            check_reads=request.given.check_reads,
            interrupts=interrupts,
            elevation=elevation,
            extent=request.given.overhead.value,
            budget=request.budget,
            watcher=bar,
            watch_events=bar is not None,
            windows=windows,
            on_event=on_event,
            is_recorded=is_recorded,
            check=quiet.finish,
        )


def _say_missing_windows(request: Request, capture: Capture, printer: LivePrinter) -> None:
    """Say where a border is missing: a tick of the program's clock was dropped, and two windows are one."""
    from runner.cli.output import say

    if capture["window"]["ended_by"] == "duration" and request.windows not in (None, printer.count):
        say(
            f"note: {printer.count} windows instead of {request.windows}: other BPF programs ran when one "
            "was to end, so it goes on to the next border; nothing is lost"
        )
