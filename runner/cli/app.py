"""The tree of commands; each is a file of its own, loaded when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from runner import __version__
from runner.cli.lean_options import leave_out_converters
from runner.cli.recipes_option import Recipes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _list(app: typer.Typer) -> None:
    from runner.cli.list import list_recipes

    app.command("list")(list_recipes)


def _show(app: typer.Typer) -> None:
    from runner.cli.show import show_recipe

    app.command("show")(show_recipe)


def _run(app: typer.Typer) -> None:
    from runner.cli.run import RunGroup

    app.add_typer(
        typer.Typer(
            cls=RunGroup,
            name="run",
            help="Run a recipe, or a script (path/to/script.bt), and print its capture.",
            no_args_is_help=True,
            rich_markup_mode=None,
            subcommand_metavar="RECIPE [OPTIONS] [-- COMMAND ...]",
        )
    )


def _render(app: typer.Typer) -> None:
    from runner.cli.render import RenderGroup

    app.add_typer(
        typer.Typer(
            cls=RenderGroup,
            name="render",
            help="Print the program for a host that has bpftrace alone.",
            no_args_is_help=True,
            rich_markup_mode=None,
            subcommand_metavar="RECIPE [OPTIONS]",
        )
    )


def _runbook(app: typer.Typer) -> None:
    from runner.cli.runbook import RunbookGroup, group_options

    runbooks = typer.Typer(
        cls=RunbookGroup,
        name="runbook",
        help="Run the steps of a runbook (FILE, or the id of one).",
        no_args_is_help=True,
        rich_markup_mode=None,
        subcommand_metavar="FILE [OPTIONS]",
    )
    runbooks.callback()(group_options)
    app.add_typer(runbooks)


def _compare(app: typer.Typer) -> None:
    from runner.cli.compare import CompareCommand, compare_captures

    app.command("compare", cls=CompareCommand)(compare_captures)


def _investigate(app: typer.Typer) -> None:
    from runner.cli.investigate import investigate

    app.command("investigate")(investigate)


def _experiment(app: typer.Typer) -> None:
    from runner.cli.experiment import TRY, ExperimentGroup, TryCommand, try_change
    from runner.cli.experiment_recover import recover_host

    experiments = typer.Typer(
        cls=ExperimentGroup,
        name="experiment",
        help="Try one change under one load, judge it, and put it back; or recover.",
        rich_markup_mode=None,
    )
    experiments.command(TRY, cls=TryCommand)(try_change)
    experiments.command("recover")(recover_host)
    app.add_typer(experiments)


def _decode(app: typer.Typer) -> None:
    from runner.cli.decode import decode_output

    app.command("decode")(decode_output)


def _doctor(app: typer.Typer) -> None:
    from runner.cli.doctor import examine_host

    app.command("doctor")(examine_host)


def _probes(app: typer.Typer) -> None:
    from runner.cli.probes import find_probes

    app.command("probes")(find_probes)


def _programs(app: typer.Typer) -> None:
    from runner.cli.programs import list_loaded

    app.command("programs")(list_loaded)


def _report(app: typer.Typer) -> None:
    from runner.cli.report import report_capture

    app.command("report")(report_capture)


def _new(app: typer.Typer) -> None:
    from runner.cli.new import new_recipe

    app.command("new")(new_recipe)


def _lint(app: typer.Typer) -> None:
    from runner.cli.lint import lint_recipes

    app.command("lint")(lint_recipes)


def _schema(app: typer.Typer) -> None:
    from runner.cli.schema import print_schema

    app.command("schema")(print_schema)


_COMMANDS: Mapping[str, Callable[[typer.Typer], None]] = {
    "list": _list,
    "show": _show,
    "run": _run,
    "render": _render,
    "runbook": _runbook,
    "compare": _compare,
    "investigate": _investigate,
    "experiment": _experiment,
    "decode": _decode,
    "doctor": _doctor,
    "probes": _probes,
    "programs": _programs,
    "report": _report,
    "new": _new,
    "lint": _lint,
    "schema": _schema,
}
"""What puts each command into an application, in the order of the help."""


class CommandTree(TyperGroup):
    """The commands, each made when it is asked for: all of them take longer than most need to answer."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Return their names."""
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return one; None where there is none of that name."""
        if cmd_name not in _COMMANDS:
            # Typer looks for the one that was meant among those that there are.
            self.commands.update({name: self.get_command(ctx, name) for name in _COMMANDS})
            return None
        if cmd_name not in self.commands:
            one = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
            _COMMANDS[cmd_name](one)
            self.commands[cmd_name] = typer.main.get_group(one).commands[cmd_name]
            leave_out_converters(self.commands[cmd_name])
        return self.commands[cmd_name]


app = typer.Typer(
    cls=CommandTree,
    help="From a symptom to a proven fix with bpftrace.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # Rich's help needs 0.1 s more to start.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(given: bool) -> None:
    if given:
        print(f"ebpf-recipe {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    recipes: Recipes = None,
) -> None:
    del version, recipes
