"""`ebpf-recipe run RECIPE`: every recipe is a subcommand with options of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.cli.recipe_command import WORKLOAD, WorkloadCommand, recipe_command
from runner.cli.recipes_option import RecipeGroup
from runner.cli.run_options import Given, run_options
from runner.recipe.catalogue import recipe_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    import typer

    from runner.capture.document import Capture
    from runner.cli.run_request import Request
    from runner.recipe.load import LoadedRecipe


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
            run_options,
            _run,
            cls=WorkloadCommand,
            options_metavar="[OPTIONS] [-- COMMAND ...]",
        )


def _run(
    ctx: typer.Context, loaded: LoadedRecipe, texts: Mapping[str, tuple[str, ...]], **options: Any
) -> None:
    from runner.cli.run_request import read_request

    request = read_request(Given(**options), loaded, texts, ctx.meta.get(WORKLOAD))
    if request.given.dry_run:
        _print_program(request)
    elif request.given.replay is not None:
        _replay(request, request.given.replay)
    else:
        _measure(request)


def _print_program(request: Request) -> None:
    from runner.bpftrace.version import ask_bpftrace
    from runner.cli.output import print_text
    from runner.plan import plan_run

    release = ask_bpftrace(request.given.bpftrace)()
    print_text(plan_run(request.loaded, request.values, release, is_exact=request.given.exact).program.text)


def _replay(request: Request, path: Path) -> None:
    from runner.cli.gates import decide, exit_by_gates, say_gates
    from runner.cli.junit import junit_destination, write_gates
    from runner.cli.output import Destination
    from runner.cli.print_capture import print_capture
    from runner.cli.run_once import decode
    from runner.interrupts import Interrupts
    from runner.replay import replay

    junit = junit_destination(request.given.junit)
    destination = Destination(request.output)
    with Interrupts() as interrupts:
        interrupts.raise_from_now_on()
        capture = decode(replay(request.loaded, request.values, path))
        decide(request.gates, capture, request.given.inconclusive)
        print_capture(capture, request.given.form.value, destination)
        write_gates(junit, [capture])
    say_gates(capture)
    exit_by_gates(capture)


def _measure(request: Request) -> None:
    from runner.bpftrace.version import ask_bpftrace
    from runner.cli.junit import junit_destination, write_gates
    from runner.cli.output import Destination
    from runner.cli.run_once import elevations_for, run_once
    from runner.cli.run_repeatedly import Repeats, judged, run_repeatedly
    from runner.cli.several import Array, Folder, Several
    from runner.errors import ValueRefused
    from runner.interrupts import Interrupts
    from runner.workload import Workload

    given = request.given
    destination = Destination(request.output)
    junit = junit_destination(given.junit)
    measured: list[Capture] = []
    with Interrupts() as interrupts:
        if request.command:
            Workload(request.command)
        recording = Destination(given.record, option="--record") if given.record is not None else None
        if recording is not None and recording.is_same_as(destination):
            raise ValueRefused("--record and the result would go to the same file")
        several: Several | None = None
        if request.folder is not None:
            several = Folder(request.folder, runs=request.repeat, has_windows=request.window_ms is not None)
        elif request.repeat is not None and not given.form.is_printed_at_once(sys.stdout.isatty()):
            several = Array(destination)
        found = ask_bpftrace(given.bpftrace)
        # It answers, and others are measured, while these are loaded.
        from runner.quiet import QuietCheck

        quiet = QuietCheck(request.loaded.recipe)
        quiet.begin()
        from runner.plan import check_privilege
        from runner.run import execute  # noqa: F401

        elevations = elevations_for(given.sudo_password_fd) if given.is_elevated else None
        if elevations is None or elevations() is None:
            check_privilege()
        if request.budget is not None:
            from runner.cli.budget import check_measurable

            check_measurable(is_elevated=elevations is not None and elevations() is not None)
        release = found()

        def once() -> Capture:
            elevation = elevations() if elevations is not None else None
            measured.append(
                run_once(request, release, elevation, interrupts, destination, quiet, several, recording)
            )
            return measured[-1]

        try:
            if request.repeat is not None:
                repeats = Repeats(
                    request.repeat,
                    request.seconds,
                    several,
                    is_spaced=given.form.is_table(sys.stdout.isatty()),
                )
                run_repeatedly(repeats, once, request.loaded.recipe, interrupts)
                return
            once()
        finally:
            if measured:
                write_gates(junit, measured)
    judged(measured[0], request.loaded.recipe)
