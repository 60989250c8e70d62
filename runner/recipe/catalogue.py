"""Where recipes are found: the only look-up of recipes.

Ours are shipped; directories of one's own (`--recipes DIR`, EBPF_RECIPE_PATH) are laid out like them:
`DIR/recipes/<layer>/<id>.yaml` and `DIR/templates/<layer>/<id>.bt.j2`. No id may stand twice: which of two
recipes ran must never depend on the order of directories.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.recipe.load import LoadedRecipe

ENVIRONMENT_VARIABLE = "EBPF_RECIPE_PATH"
"""Directories of recipes, separated by colons."""

TEMPLATE_SUFFIX = ".bt.j2"

RUNBOOKS = "runbooks"
HYPOTHESES = "hypotheses"
REMEDIES = "remedies"
"""Folders beside those of the layers whose files are runbooks, hypotheses and remedies, and no recipes."""

_given: list[Path] = []
"""Directories named on the command line."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A folder of recipes and the folder of their templates."""

    recipes: Path
    templates: Path

    def recipe_files(self) -> Iterator[Path]:
        """Return the recipe files, sorted; none is opened."""
        found = self.recipes.glob("*/*.yaml")
        yield from sorted(path for path in found if path.parent.name not in (RUNBOOKS, HYPOTHESES, REMEDIES))

    def template_of(self, recipe: Path) -> Path:
        """Return where the template of a recipe file stands."""
        return self.templates / recipe.parent.name / f"{recipe.stem}{TEMPLATE_SUFFIX}"


def data_dir(name: str) -> Path:
    """Return the folder of shipped data: in the wheel, or at the top of a checkout.

    :param name: `recipes` or `templates`.
    """
    package = Path(str(files("runner")))
    shipped = package / "_data" / name
    return shipped if shipped.is_dir() else package.parent / name


def add_directory(directory: Path) -> None:
    """Search one more directory, for as long as this process lives."""
    if directory not in _given:
        _given.append(directory)


def shipped_catalogue() -> Catalogue:
    """Return ours."""
    return Catalogue(data_dir("recipes"), data_dir("templates"))


def own_directories() -> list[tuple[str, Path]]:
    """Return the directories that were configured, each with who named it; they need not be there."""
    from_environment = [each for each in os.environ.get(ENVIRONMENT_VARIABLE, "").split(":") if each]
    named = [("--recipes", each) for each in _given]
    return [*named, *((ENVIRONMENT_VARIABLE, Path(each).expanduser()) for each in from_environment)]


def catalogues() -> list[Catalogue]:
    """Return ours and those that were configured, each once.

    :raises ValueRefused: A configured directory holds no recipes.
    """
    found = [shipped_catalogue()]
    seen = {found[0].recipes.resolve()}
    for named_by, directory in own_directories():
        recipes = directory / "recipes"
        if not recipes.is_dir():
            missing = "it has no folder recipes" if directory.is_dir() else "there is no such directory"
            raise ValueRefused(
                f"{named_by} {directory}: {missing}",
                hint="a recipe is DIR/recipes/<layer>/ID.yaml and DIR/templates/<layer>/ID.bt.j2",
            )
        if recipes.resolve() not in seen:
            seen.add(recipes.resolve())
            found.append(Catalogue(recipes, directory / "templates"))
    return found


def recipe_ids() -> list[str]:
    """Return the ids of all recipes, sorted; no file is opened.

    :raises ValueRefused: An id stands twice, or a configured directory holds no recipes.
    """
    return sorted(recipe_paths())


def find_recipe(recipe_id: str) -> LoadedRecipe:
    """Return a recipe by its id.

    :raises ValueRefused: No recipe has it; the nearest ids are named.
    """
    from runner.recipe.load import load_recipe  # noqa: PLC0415  # pydantic and YAML, not needed to list ids

    paths = _places()
    place = paths.get(recipe_id)
    if place is None:
        near = difflib.get_close_matches(recipe_id, paths, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "`ebpf-recipe list` names them all"
        raise ValueRefused(f"there is no recipe {recipe_id!r}", hint=hint)
    path, catalogue = place
    return load_recipe(path, catalogue.template_of(path))


def recipe_paths() -> dict[str, Path]:
    """Return the files of all recipes, by id.

    :raises ValueRefused: An id stands twice, or a configured directory holds no recipes.
    """
    return {recipe_id: path for recipe_id, (path, _) in _places().items()}


def _places() -> dict[str, tuple[Path, Catalogue]]:
    found: dict[str, tuple[Path, Catalogue]] = {}
    twice = []
    for catalogue in catalogues():
        for path in catalogue.recipe_files():
            first, _ = found.setdefault(path.stem, (path, catalogue))
            if first != path:
                twice.append(f"the recipe {path.stem} stands twice: {first} and {path}")
    if twice:
        raise ValueRefused("\n".join(twice), hint="give one of them another id, in its file too")
    return found
