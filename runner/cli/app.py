"""The tree of commands; each is a file of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from runner import __version__
from runner.cli.compare import CompareCommand, compare_captures
from runner.cli.decode import decode_output
from runner.cli.doctor import examine_host
from runner.cli.experiment import TRY, ExperimentGroup, TryCommand, try_change
from runner.cli.experiment_recover import recover_host
from runner.cli.investigate import investigate
from runner.cli.lint import lint_recipes
from runner.cli.list import list_recipes
from runner.cli.new import new_recipe
from runner.cli.probes import find_probes
from runner.cli.programs import list_loaded
from runner.cli.recipes_option import Recipes
from runner.cli.render import RenderGroup
from runner.cli.report import report_capture
from runner.cli.run import RunGroup
from runner.cli.runbook import RunbookGroup, list_runbooks
from runner.cli.schema import print_schema
from runner.cli.show import show_recipe

app = typer.Typer(
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


app.command("list")(list_recipes)
app.command("show")(show_recipe)
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
runbooks = typer.Typer(
    cls=RunbookGroup,
    name="runbook",
    help="Run the steps of a runbook (FILE, or the id of one).",
    no_args_is_help=True,
    rich_markup_mode=None,
    subcommand_metavar="FILE [OPTIONS]",
)


@runbooks.callback()
def _runbook_options(
    listed: Annotated[
        bool, typer.Option("--list", callback=list_runbooks, is_eager=True, help="Print which there are.")
    ] = False,
) -> None:
    del listed


app.add_typer(runbooks)
app.command("compare", cls=CompareCommand)(compare_captures)
app.command("investigate")(investigate)
experiments = typer.Typer(
    cls=ExperimentGroup,
    name="experiment",
    help="Try one change under one load, judge it, and put it back; or recover.",
    rich_markup_mode=None,
)
experiments.command(TRY, cls=TryCommand)(try_change)
experiments.command("recover")(recover_host)
app.add_typer(experiments)
app.command("decode")(decode_output)
app.command("doctor")(examine_host)
app.command("probes")(find_probes)
app.command("programs")(list_loaded)
app.command("report")(report_capture)
app.command("new")(new_recipe)
app.command("lint")(lint_recipes)
app.command("schema")(print_schema)
