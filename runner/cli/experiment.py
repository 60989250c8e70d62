"""`ebpf-recipe experiment`: one change, tried under one load in turns, judged, and put back."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from runner.cli.options import BpftracePath
from runner.cli.recipe_command import WORKLOAD, WorkloadCommand
from runner.cli.recipes_option import Recipes

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.cli.output import Destination
    from runner.interrupts import Interrupts
    from runner.workflow.experiment.document import ExperimentResult
    from runner.workflow.experiment.prepare import Prepared

_AS_ROOT = "start it as root: sudo ebpf-recipe experiment …"
_RECOVER = "recover"
_TYPED = "ebpf-recipe.typed"
"""Under this name the context holds the words of the command."""
TRY = "try"


class Format(StrEnum):
    """How an experiment is printed."""

    AUTO = "auto"
    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


class ExperimentGroup(TyperGroup):
    """`experiment recover` is a command of its own; all else is an experiment that is tried."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take what names no command for the words of an experiment."""
        return super().parse_args(ctx, args if args[:1] == [_RECOVER] else [TRY, *args])


class TryCommand(WorkloadCommand):
    """Shows the usage as it is typed, without the name of the command; keeps what was typed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options."""
        ctx.meta[_TYPED] = list(args)
        # Nobody types its name.
        ctx.info_name, ctx.parent = ctx.parent.info_name, ctx.parent.parent
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage."""
        del ctx
        return ["[FILE] [OPTIONS] [-- LOAD ...]"]


def try_change(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            readable=False,
            help="What is tried, in YAML; or the options say it.",
            show_default=False,
        ),
    ] = None,
    remedy: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The change: a remedy (--list names them).", show_default=False),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="NAME=VALUE",
            help="A value of the remedy. [may be repeated]",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="The change: a sysctl, or a file below /sys or /proc. [may be repeated]",
            show_default=False,
        ),
    ] = None,
    read: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="The change by commands for `sh -e`: prints the state.", show_default=False
        ),
    ] = None,
    apply: Annotated[
        str | None, typer.Option(metavar="TEXT", help="… makes the change.", show_default=False)
    ] = None,
    verify: Annotated[
        str | None, typer.Option(metavar="TEXT", help="… succeeds where it is made.", show_default=False)
    ] = None,
    revert: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="… puts $BEFORE back, which --read printed.", show_default=False),
    ] = None,
    netns: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Change it in this network namespace (ip netns).", show_default=False
        ),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'RECIPE OPTIONS'",
            help="What measures: 'runqlat --comm nginx'; the first decides. [may be repeated]",
            show_default=False,
        ),
    ] = None,
    primary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OUTCOME",
            help="What decides, in place of the first recipe's own. [may be repeated]",
            show_default=False,
        ),
    ] = None,
    margin: Annotated[
        str | None, typer.Option(metavar="SIZE", help="A change of it that is none: 10%.", show_default=False)
    ] = None,
    gate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="A condition on the first recipe's runs. [may be repeated]",
            show_default=False,
        ),
    ] = None,
    prepare: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="For `sh -e`, before each run: begins each from the same.",
            show_default=False,
        ),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(
            "-d",
            "--duration",
            metavar="DURATION",
            help="How long each run is, where there is no LOAD.",
            show_default=False,
        ),
    ] = None,
    settle: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="How long to wait after a switch. [default: 1s]", show_default=False
        ),
    ] = None,
    warm_up: Annotated[
        int | None,
        typer.Option("--warm-up", metavar="N", help="Runs before. [default: 1]", show_default=False),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Blocks of four runs. [default: as few as can decide]", show_default=False
        ),
    ] = None,
    case: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            readable=False,
            help="A case: try its --remedy, and note the verdict in it.",
            show_default=False,
        ),
    ] = None,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            readable=False,
            help="Where everything is kept: a new directory. [default: ./experiment-ID-TIME]",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the change where it is better, and nothing is worse.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print what would be done, and do nothing.")
    ] = False,
    as_list: Annotated[bool, typer.Option("--list", help="List the remedies.")] = False,
    form: Annotated[
        Format, typer.Option("-f", "--format", help="auto: a table on a terminal, JSON elsewhere.")
    ] = Format.AUTO,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", readable=False, help="Write to a file.")
    ] = None,
    bpftrace: BpftracePath = None,
    recipes: Recipes = None,
) -> None:
    """Try one change: runs without and with it in turns under one load, a verdict, all put back.

    `ebpf-recipe experiment recover` puts back what an experiment left that was killed. Exit code 1 where it
    is worse or a gate fails, 9 where the host could not be left as it was.
    """
    from runner.cli.experiment_flags import Flags, experiment_of
    from runner.cli.output import Destination, print_text, say
    from runner.errors import EbpfRecipeError, ExitCode
    from runner.workflow.experiment.prepare import prepare as make_ready

    del recipes
    if as_list:
        from runner.cli.print_experiment import remedies_as_text

        print_text(remedies_as_text())
        return
    flags = Flags(
        remedy=remedy, given=given or [], settings=settings or [], read=read, apply=apply, verify=verify,
        revert=revert, netns=netns, measure=measure or [], primary=primary or [], margin=margin,
        gate=gate or [], prepare=prepare, duration=duration, settle=settle, warm_up=warm_up, rounds=rounds,
        load=context.meta.get(WORKLOAD) or [],
    )  # fmt: skip
    found = experiment_of(file, flags, case)
    prepared = make_ready(found.experiment, found.directory, bpftrace, found.case)
    if dry_run:
        from runner.cli.print_experiment import plan_as_text

        print_text(plan_as_text(prepared))
        return
    destination = Destination(output)
    folder = directory if directory is not None else _new_name(found.experiment.id, case)
    result = _conduct(prepared, folder, context.meta[_TYPED], keep=keep)
    # Before anything that may fail: how the host was left is told.
    if result["exit_code"] and result["ending"] != "finished":
        say(f"ebpf-recipe: {result['reason']}")
    failed: list[EbpfRecipeError] = []
    steps: list[Callable[[], None]] = [
        lambda: _note(case, result),
        lambda: _print(result, form, destination),
        lambda: _keep_report(result),
    ]
    for keep_or_print in steps:
        try:
            keep_or_print()
        except EbpfRecipeError as error:
            failed.append(error)
    # How the host was left is more than that something could not be written.
    is_changed = result["exit_code"] == ExitCode.CHANGED
    for each in failed if is_changed else failed[1:]:
        say(f"ebpf-recipe: {each.message}")
    if failed and not is_changed:
        raise failed[0]
    if result["exit_code"]:
        raise typer.Exit(result["exit_code"])


def _conduct(prepared: Prepared, folder: Path, typed: list[str], *, keep: bool) -> ExperimentResult:
    from runner.cli.output import say
    from runner.errors import HostRefused
    from runner.host.kernel import is_root
    from runner.interrupts import Interrupts
    from runner.workflow.experiment.conduct import Conditions, conduct

    if not is_root():
        raise HostRefused("to change this host and to measure it needs root", hint=_AS_ROOT)
    prepared.load.check()
    with Interrupts() as signals:
        return conduct(prepared, folder, Conditions(signals, say, asking(signals), keep, typed))


def _keep_report(result: ExperimentResult) -> None:
    """Write the report beside what was measured."""
    from runner.cli.output import Destination
    from runner.report.experiment import experiment_as_markdown

    path = Path(result["directory"]) / "report.md"
    Destination(path, option="--dir").write(experiment_as_markdown(result).encode())


def _note(case: Path | None, result: ExperimentResult) -> None:
    """Write into a case what an experiment with its remedy says, where it is a case's."""
    if case is None:
        return
    from runner.cli.output import say
    from runner.report.case import case_as_markdown
    from runner.workflow.case_folder import CaseFolder
    from runner.workflow.proof import note_experiment

    folder = CaseFolder(case)
    with folder.locked():
        concluded = note_experiment(folder, result)
        folder.write_text("report.md", case_as_markdown(concluded))
        folder.write("case.json", concluded)
    say(f"noted in the case {case}")


def asking(signals: Interrupts) -> Callable[[str], bool] | None:
    """Return how to ask whether to put back what somebody else changed; None where there is nobody to ask.

    A signal that comes meanwhile ends the question.
    """
    from runner.cli.operator import Operator, has_operator

    if not has_operator():
        return None

    def ask(question: str) -> bool:
        signals.raise_from_now_on("while it was asked what to put back")
        try:
            return Operator().ask(question, ("yes", "no"), None) == "yes"
        finally:
            signals.keep_from_now_on()

    return ask


def _new_name(named: str, case: Path | None) -> Path:
    from datetime import UTC, datetime

    name = f"experiment-{named}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    return Path(name) if case is None else case / "experiments" / name


def _print(result: ExperimentResult, form: Format, destination: Destination) -> None:
    from runner.report.experiment import experiment_as_markdown, experiment_as_text
    from runner.workflow.experiment.folder import encode_experiment

    if form is Format.AUTO:
        form = Format.TABLE if destination.path is None and sys.stdout.isatty() else Format.JSON
    if form is Format.JSON:
        destination.write(encode_experiment(result))
    elif form is Format.MARKDOWN:
        destination.write(experiment_as_markdown(result).encode())
    else:
        destination.write(experiment_as_text(result).encode())
