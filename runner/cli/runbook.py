"""`ebpf-recipe runbook FILE`: a runbook is a command with options of its own."""

from __future__ import annotations

import inspect
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli.junit import Junit
from runner.cli.options import BpftracePath
from runner.cli.recipes_option import RecipeGroup, Recipes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.cli.output import Destination
    from runner.workflow.runbook.document import RunbookRun
    from runner.workflow.runbook.load import LoadedRunbook


class Format(StrEnum):
    """How a run is printed."""

    AUTO = "auto"
    TABLE = "table"
    JSON = "json"


def runbook_options(
    work: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            readable=False,
            help="Where transcript, captures and runbook.json go. [default: ID-TIME]",
            show_default=False,
        ),
    ] = None,
    first: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="STEP",
            help="Go on with the run in --work, from this step.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Answer every question by its default.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print what would be done, and do nothing.")
    ] = False,
    form: Annotated[
        Format,
        typer.Option("-f", "--format", help="auto: a table on a terminal, JSON elsewhere."),
    ] = Format.AUTO,
    junit: Junit = None,
    bpftrace: BpftracePath = None,
    recipes: Recipes = None,
) -> None:
    """Carry the options that every runbook has."""


class RunbookGroup(RecipeGroup):
    """Runbooks as commands, each made when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Return the ids of the runbooks there are."""
        from runner.workflow.runbook.catalogue import runbook_paths

        return list(runbook_paths())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a runbook, by its id or file.

        :raises ValueRefused: There is none, or it has mistakes.
        :raises NotUnderstood: Its file is none.
        """
        if cmd_name.startswith("-"):
            return None
        from runner.errors import EbpfRecipeError
        from runner.workflow.runbook.catalogue import find_runbook
        from runner.workflow.runbook.load import load_runbook

        try:
            loaded = load_runbook(find_runbook(cmd_name))
        except EbpfRecipeError:
            if ctx.resilient_parsing:
                return None
            raise
        return _command(loaded, cmd_name)


def list_runbooks(given: bool) -> None:
    """Print the runbooks that have an id, and end."""
    if not given:
        return
    from runner.cli.output import print_text
    from runner.workflow.runbook.catalogue import runbook_paths
    from runner.workflow.runbook.load import load_runbook

    loaded = [load_runbook(path) for path in runbook_paths().values()]
    print_text("\n".join(f"{each.runbook.id:<20} {each.runbook.title}" for each in loaded))
    raise typer.Exit


def group_options(
    listed: Annotated[
        bool, typer.Option("--list", callback=list_runbooks, is_eager=True, help="Print which there are.")
    ] = False,
) -> None:
    """Carry the options that stand before a runbook."""
    del listed


def _command(loaded: LoadedRunbook, named: str) -> Any:
    parameters = loaded.runbook.parameters
    words = {f"given_{each.word}": each for each in parameters}

    def invoke(**given: Any) -> None:
        texts = {each.name: tuple(given.pop(word) or ()) for word, each in words.items()}
        _run(loaded, named, texts, **given)

    own = [
        inspect.Parameter(
            word,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                list[str] | None,
                typer.Option(
                    f"--{each.name}",
                    metavar=each.kind.metavar,
                    help=f"{each.description} [{_more(each)}]",
                    show_default=False,
                ),
            ],
        )
        for word, each in words.items()
    ]
    shared = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(runbook_options, eval_str=True).parameters.values()
    ]
    invoke.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    invoke.__annotations__ = {each.name: each.annotation for each in (*own, *shared)}
    one = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    one.command(
        loaded.runbook.id,
        short_help=loaded.runbook.title,
        help=" ".join(loaded.runbook.description.split()),
    )(invoke)
    return typer.main.get_command(one)


def _more(parameter: Any) -> str:
    parts = [parameter.kind.range]
    parts += ["may be repeated"] if parameter.repeatable else []
    parts += ["required"] if parameter.required else []
    parts += [f"default {parameter.default}"] if parameter.default is not None else []
    parts += [f"${parameter.environment}"] if parameter.environment is not None else []
    return ", ".join(parts)


def _run(
    loaded: LoadedRunbook,
    named: str,
    texts: Mapping[str, tuple[str, ...]],
    *,
    work: Path | None,
    first: str | None,
    yes: bool,
    dry_run: bool,
    form: Format,
    junit: Path | None,
    bpftrace: str | None,
    recipes: list[Path] | None,
) -> None:
    from runner.cli.junit import junit_destination
    from runner.cli.operator import Operator, has_operator
    from runner.cli.output import Destination, print_text
    from runner.interrupts import Interrupts
    from runner.workflow.runbook.given import parse_parameters
    from runner.workflow.runbook.prepare import Prepared
    from runner.workflow.runbook.running import Wanted, first_step, run_runbook
    from runner.workflow.runbook.work_directory import WorkDirectory

    del recipes
    start = first_step(loaded, first)
    steps = loaded.runbook.steps[start:]
    if first is not None and work is None and not dry_run:
        raise typer.BadParameter("--from goes on with an earlier run: say which, with --work DIR")
    if dry_run:
        prepared = Prepared(loaded, parse_parameters(loaded.runbook, texts, os.environ))
        prepared.check(steps)
        print_text("\n".join(prepared.lines(steps)))
        return
    if first is None:
        # Before there is a directory.
        _prepared(loaded, texts, steps, yes=yes, has_operator=has_operator())
    junit_file, destination = junit_destination(junit), Destination(None)
    directory = work if work is not None else Path(f"{loaded.runbook.id}-{_stamp()}")
    with Interrupts() as signals, WorkDirectory(directory, goes_on=first is not None) as held:
        if held.earlier is not None:
            texts = _with_earlier(texts, held.earlier)
        prepared = _prepared(loaded, texts, steps, yes=yes, has_operator=has_operator())
        options = () if bpftrace is None else (f"--bpftrace={bpftrace}",)
        tells_end = not _is_table(form)
        wanted = Wanted(named, start, takes_defaults=yes, run_options=options, tells_end=tells_end)
        run = run_runbook(loaded, prepared.given, wanted, held, Operator(), signals)
        signals.raise_from_now_on()
        _print(run, form, destination)
        if junit_file is not None:
            from runner.report.junit import junit_of_runbook

            junit_file.write(junit_of_runbook(run))
    if run["exit_code"]:
        raise typer.Exit(run["exit_code"])


def _prepared(
    loaded: LoadedRunbook,
    texts: Mapping[str, tuple[str, ...]],
    steps: Sequence[Any],
    *,
    yes: bool,
    has_operator: bool,
) -> Any:
    """Check what can be checked before anything is done."""
    from runner.workflow.runbook.given import parse_parameters
    from runner.workflow.runbook.prepare import Prepared

    prepared = Prepared(loaded, parse_parameters(loaded.runbook, texts, os.environ))
    prepared.check(steps)
    prepared.check_questions(steps, takes_defaults=yes, has_operator=has_operator)
    return prepared


def _with_earlier(texts: Mapping[str, tuple[str, ...]], earlier: RunbookRun) -> dict[str, tuple[str, ...]]:
    """Return what was given, and where nothing was, what the earlier run was given; secrets are not kept."""
    from runner.workflow.runbook.given import MASK

    made = dict(texts)
    for name, value in earlier["parameters"].items():
        if not made.get(name) and value not in (None, MASK):
            made[name] = tuple(str(each) for each in (value if isinstance(value, list) else [value]))
    return made


def _stamp() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def _is_table(form: Format) -> bool:
    return form is Format.TABLE or (form is Format.AUTO and sys.stdout.isatty())


def _print(run: RunbookRun, form: Format, destination: Destination) -> None:
    if _is_table(form):
        from runner.report.runbook import format_runbook

        destination.write(format_runbook(run, in_color=sys.stdout.isatty()).encode(errors="backslashreplace"))
        return
    from runner.workflow.runbook.encode import encode_run

    destination.write(encode_run(run))
