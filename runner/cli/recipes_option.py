"""`--recipes DIR`: directories with recipes of one's own, before or after the name of a command or recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from runner.cli.directories import OPTION, named_directories
from runner.errors import ValueRefused
from runner.recipe.catalogue import add_directory, find_recipe, recipe_ids

if TYPE_CHECKING:
    from runner.recipe.load import LoadedRecipe


def _add(given: list[Path] | None) -> list[Path] | None:
    for directory in given or ():
        add_directory(directory)
    return given


Recipes = Annotated[
    list[Path] | None,
    typer.Option(
        OPTION,
        metavar="DIR",
        callback=_add,
        is_eager=True,
        readable=False,
        help="Also the recipes in DIR/recipes, with DIR/templates. [repeatable; $EBPF_RECIPE_PATH]",
        show_default=False,
    ),
]


class RecipeGroup(TyperGroup):
    """A command whose subcommands are recipes: their directories are known before one is looked up."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take `--recipes` from wherever it stands."""
        directories, others = named_directories(args)
        for directory in directories:
            add_directory(directory)
        return super().parse_args(ctx, others)

    def find(self, ctx: Any, name: str) -> LoadedRecipe | None:
        """Return a recipe; None where a shell that completes asks for one that there is not.

        :raises ValueRefused: There is no such recipe, or it has mistakes.
        """
        try:
            return find_recipe(name)
        except ValueRefused:
            if ctx.resilient_parsing:
                return None
            raise

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """Return the ids of all recipes."""
        return recipe_ids()
