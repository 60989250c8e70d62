"""Where recipes are found: the only look-up of recipes."""

from __future__ import annotations

import difflib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import ValueRefused

if TYPE_CHECKING:
    from runner.recipe.load import LoadedRecipe


def data_dir(name: str) -> Path:
    """Return the folder of shipped data: in the wheel, or at the top of a checkout.

    :param name: `recipes` or `templates`.
    """
    package = Path(str(files("runner")))
    shipped = package / "_data" / name
    return shipped if shipped.is_dir() else package.parent / name


def recipe_ids() -> list[str]:
    """Return the ids of all recipes, sorted; no file is opened."""
    return sorted(recipe_paths())


def find_recipe(recipe_id: str) -> LoadedRecipe:
    """Return a recipe by its id.

    :raises ValueRefused: No recipe has it; the nearest ids are named.
    """
    from runner.recipe.load import load_recipe  # noqa: PLC0415  # pydantic and YAML, not needed to list ids

    paths = recipe_paths()
    path = paths.get(recipe_id)
    if path is None:
        near = difflib.get_close_matches(recipe_id, paths, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "`ebpf-recipe list` names them all"
        raise ValueRefused(f"there is no recipe {recipe_id!r}", hint=hint)
    return load_recipe(path, data_dir("templates") / path.parent.name / f"{path.stem}.bt.j2")


def recipe_paths() -> dict[str, Path]:
    """Return the files of all recipes, by id."""
    return {path.stem: path for path in data_dir("recipes").glob("*/*.yaml")}
