"""Read a recipe file; report every mistake in it at once, as `file:line:col`."""

from __future__ import annotations

import copy
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from runner.recipe.finding import Finding, RecipeRefused
from runner.recipe.model import Recipe
from runner.recipe.model_base import location_text
from runner.recipe.small_file import read_small
from runner.recipe.yaml_file import YamlFile, read_yaml

if TYPE_CHECKING:
    from collections.abc import Sequence


class LoadedRecipe:
    """A recipe with where it came from.

    :ivar recipe: The typed recipe.
    :ivar path: Its file.
    :ivar template_path: The file of its template.
    :ivar digest: `sha256:` and the digest of both files.
    """

    __slots__ = ("digest", "path", "recipe", "template_path")

    def __init__(self, recipe: Recipe, path: Path, template_path: Path) -> None:
        """Take what was read.

        :raises RecipeRefused: A file cannot be read again.
        """
        self.recipe = recipe
        self.path = path
        self.template_path = template_path
        try:
            content = hashlib.sha256(read_small(path))
            content.update(b"\0")
            content.update(read_small(template_path))
        except OSError as error:
            file = error.filename or template_path
            raise RecipeRefused([Finding(str(file), 1, 1, "unreadable", str(error.strerror))]) from error
        self.digest = f"sha256:{content.hexdigest()}"

    def with_recipe(self, recipe: Recipe) -> LoadedRecipe:
        """Return the same files' recipe, asked for in another way."""
        other = copy.copy(self)
        other.recipe = recipe
        return other


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """A recipe file as far as it could be understood.

    :param recipe: None where there are findings that the model cannot do without.
    :param findings: Every mistake in the file alone.
    """

    yaml: YamlFile
    recipe: Recipe | None
    findings: tuple[Finding, ...]


def read_recipe(path: Path) -> RecipeFile:
    """Read a recipe file and check it against the model."""
    file = read_yaml(path)
    if file.findings:
        return RecipeFile(file, None, file.findings)
    try:
        recipe = Recipe.model_validate(file.document)
    except ValidationError as error:
        found = error.errors(include_url=False)
        findings = [_finding(file, details) for details in found if not _only_follows(details, found)]
        return RecipeFile(file, None, tuple(findings))
    if recipe.id != path.stem:
        text = f"id is {recipe.id!r}, the file is called {path.stem!r}"
        return RecipeFile(file, recipe, (file.finding("id-file-name", ("id",), text),))
    return RecipeFile(file, recipe, ())


def load_recipe(path: Path, template_path: Path) -> LoadedRecipe:
    """Read a recipe that can be rendered.

    :raises RecipeRefused: With every mistake, a line each.
    """
    file = read_recipe(path)
    findings = list(file.findings)
    outside = [each for each in (path, template_path) if is_outside(each)]
    findings += [Finding(str(each), 1, 1, "path-outside", OUTSIDE) for each in outside]
    if not template_path.is_file():
        findings.append(
            Finding(str(path), 1, 1, "template-missing", f"its template {template_path} is missing")
        )
    if findings or file.recipe is None:
        raise RecipeRefused(findings)
    return LoadedRecipe(file.recipe, path, template_path)


OUTSIDE = "it is a link that leads out of its catalogue: put the file itself there"


def is_outside(path: Path) -> bool:
    """Whether a recipe or template is a link to somewhere outside its `recipes/` or `templates/` folder."""
    # Links in a circle stay where they are; Path.resolve() raises for them.
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(path.parent.parent))


def _only_follows(details: Any, found: Sequence[Any]) -> bool:
    """Whether a list is too short for no other reason than that its items have mistakes."""
    place = details["loc"]
    return details["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in found
    )


def _finding(file: YamlFile, details: Any) -> Finding:
    where = location_text(details["loc"])
    message = details["msg"].removeprefix("Value error, ")
    location = details["loc"] or _subject(file, message)
    return file.finding("model", location, f"{where + ': ' if where else ''}{message}")


def _subject(file: YamlFile, message: str) -> tuple[Any, ...]:
    """Return the place of what a message about the whole recipe speaks of: `primary: …`, `output x: …`."""
    what, _, _ = message.partition(":")
    if not isinstance(file.document, dict):
        return ()
    kind, _, name = what.partition(" ")
    if kind == "output":
        names = [each["name"] for each in file.document["outputs"]]
        return ("outputs", names.index(name)) if name in names else ("outputs",)
    return ("scratch_maps",) if what == "maps" else (what,)
