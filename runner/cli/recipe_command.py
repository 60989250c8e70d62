"""Commands that every recipe has as a subcommand, with options of its own."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from runner.cli.lean_options import leave_out_converters
from runner.recipe.parameters import TARGET_FILTERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.recipe.load import LoadedRecipe
    from runner.recipe.parameters import ParameterType

WORKLOAD = "ebpf-recipe.workload"
"""Under this name the context holds the command behind `--`."""


class WorkloadCommand(TyperCommand):
    """A command that keeps what stands behind `--` apart: nothing else may be a stray word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options; leave the workload in the context."""
        if "--" in args:
            place = args.index("--")
            ctx.meta[WORKLOAD] = args[place + 1 :]
            args = args[:place]
        return super().parse_args(ctx, args)


def recipe_command(
    loaded: LoadedRecipe,
    common: Callable[..., None],
    action: Callable[..., None],
    *,
    options_metavar: str,
    cls: type[TyperCommand] = TyperCommand,
) -> Any:
    """Return the command of a recipe: its parameters and the target filters as options, and common ones.

    :param common: Carries the common options in its signature.
    :param action: Called with the context, the recipe, what was given for its own options, and the rest.
    """
    recipe = loaded.recipe
    options = {
        parameter.name: _option(
            parameter.name,
            parameter.kind,
            parameter.description,
            repeatable=parameter.repeatable,
            default=parameter.default,
            required=parameter.required,
        )
        for parameter in recipe.parameters
    }
    for name, kind in TARGET_FILTERS.items():
        honoured = recipe.target.honoured().get(name)
        options[name] = _option(
            name, kind, f"Only {honoured or kind.range}.", repeatable=True, hidden=honoured is None
        )

    def invoke(ctx: typer.Context, **given: Any) -> None:
        texts = {name: tuple(given.pop(_python_name(name)) or ()) for name in options}
        action(ctx, loaded, texts, **given)

    first = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    own = [
        inspect.Parameter(
            _python_name(name), inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None
        )
        for name, annotation in options.items()
    ]
    shared = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in inspect.signature(common, eval_str=True).parameters.values()
    ]
    invoke.__signature__ = inspect.Signature([first, *own, *shared])  # type: ignore[attr-defined]
    invoke.__annotations__ = {p.name: p.annotation for p in (first, *own, *shared)}
    summary = " ".join(recipe.description.split())
    one = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    one.command(
        recipe.id,
        cls=cls,
        short_help=recipe.title,
        help=summary,
        epilog=f"`ebpf-recipe show {recipe.id}` says what the tables mean, and the caveats.",
        options_metavar=options_metavar,
    )(invoke)
    command = typer.main.get_command(one)
    leave_out_converters(command)
    return command


def _python_name(option: str) -> str:
    return f"given_{option.replace('-', '_')}"


def _option(
    name: str,
    kind: ParameterType,
    description: str,
    *,
    repeatable: bool,
    hidden: bool = False,
    default: str | None = None,
    required: bool = False,
) -> Any:
    again = (", may be repeated" if repeatable else "") + (", required" if required else "")
    if default is not None:
        again += f"; default {default}"
    return Annotated[
        list[str] | None,
        typer.Option(
            f"--{name}",
            metavar=kind.metavar,
            help=f"{description} [{kind.range}{again}]",
            hidden=hidden,
            show_default=False,
        ),
    ]
