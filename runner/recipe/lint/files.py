"""Which recipes and templates the paths of a command line mean."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import ValueRefused
from runner.recipe.catalogue import HYPOTHESES, REMEDIES, RUNBOOKS, TEMPLATE_SUFFIX, Catalogue
from runner.recipe.finding import Finding
from runner.recipe.small_file import read_small

if TYPE_CHECKING:
    from collections.abc import Iterable

LAYOUT = "a recipe stands in recipes/<layer>/<id>.yaml, its template in templates/<layer>/<id>.bt.j2"

_GRAMMAR = re.compile(rb"^(runbook|experiment)[ \t]*:", re.MULTILINE)


def is_runbook(path: Path) -> bool:
    """Whether a file is a runbook: it stands among those of a catalogue, or has their key at its top."""
    return path.suffix in (".yaml", ".yml") and (path.parent.name == RUNBOOKS or _grammar(path) == b"runbook")


def is_experiment(path: Path) -> bool:
    """Whether a file is an experiment: it has their key at its top."""
    return path.suffix in (".yaml", ".yml") and not is_runbook(path) and _grammar(path) == b"experiment"


def _grammar(path: Path) -> bytes | None:
    """Return the key that says what a file is; None where it has none."""
    try:
        found = _GRAMMAR.search(read_small(path))
    except OSError:
        return None
    return None if found is None else found[1]


@dataclass(slots=True)
class Selection:
    """What is to be checked.

    :param recipes: Recipe files, each with its catalogue.
    :param includes: Templates that are no recipe's own, each with its catalogue.
    :param hypotheses: Files of hypotheses, each with its catalogue; `remedies` likewise.
    """

    catalogues: dict[Path, Catalogue] = field(default_factory=dict)
    recipes: dict[Path, Catalogue] = field(default_factory=dict)
    includes: dict[Path, Catalogue] = field(default_factory=dict)
    hypotheses: dict[Path, Catalogue] = field(default_factory=dict)
    remedies: dict[Path, Catalogue] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def select(paths: Iterable[Path]) -> Selection:
    """Return what paths mean: a recipe file, a template, a catalogue's directory or a folder in it.

    :raises ValueRefused: A path does not exist, or holds no recipe.
    """
    selection = Selection()
    for path in paths:
        if not path.exists():
            raise ValueRefused(f"{path}: there is no such file or directory")
        if path.is_dir():
            _add_directory(selection, path)
        else:
            _add_file(selection, path)
    return selection


def select_catalogues(catalogues: Iterable[Catalogue]) -> Selection:
    """Return everything in some catalogues."""
    selection = Selection()
    for catalogue in catalogues:
        _add_catalogue(selection, catalogue)
    return selection


def _add_directory(selection: Selection, path: Path) -> None:
    if (path / "recipes").is_dir():
        _add_catalogue(selection, Catalogue(path / "recipes", path / "templates"))
        return
    catalogue = _catalogue_of(path)
    if catalogue is None:
        raise ValueRefused(f"{path} holds no recipes", hint=LAYOUT)
    if path.absolute().name in ("recipes", "templates") and path in (catalogue.recipes, catalogue.templates):
        _add_catalogue(selection, catalogue)
        return
    for file in sorted(path.rglob("*")):
        if file.is_file() and not is_runbook(file) and not is_experiment(file):
            _add_file(selection, file)


def _add_catalogue(selection: Selection, catalogue: Catalogue) -> None:
    selection.catalogues[catalogue.recipes.resolve()] = catalogue
    for file in sorted(catalogue.recipes.rglob("*")):
        if file.suffix in (".yaml", ".yml") and file.parent.name != RUNBOOKS:
            _add_file(selection, file)
    for file in sorted(catalogue.templates.rglob(f"*{TEMPLATE_SUFFIX}")):
        _add_file(selection, file)


def _add_file(selection: Selection, file: Path) -> None:
    if len(file.parts) < 2:
        # The folder's name is the layer: it has to be seen.
        file = file.absolute()
    catalogue = _catalogue_of(file)
    folder = None if catalogue is None else _up(file, 2)
    if catalogue is None or folder not in (catalogue.recipes, catalogue.templates):
        selection.findings.append(Finding(str(file), 1, 1, "layout", LAYOUT))
        return
    selection.catalogues.setdefault(catalogue.recipes.resolve(), catalogue)
    if folder == catalogue.recipes and file.parent.name == HYPOTHESES and file.suffix == ".yaml":
        selection.hypotheses[file] = catalogue
        return
    if folder == catalogue.recipes and file.parent.name == REMEDIES:
        # Beside them stand the sources of programs that they load.
        if file.suffix == ".yaml":
            selection.remedies[file] = catalogue
        return
    if folder == catalogue.recipes:
        if file.suffix == ".yaml":
            selection.recipes[file] = catalogue
        else:
            selection.findings.append(Finding(str(file), 1, 1, "layout", LAYOUT))
        return
    recipe = catalogue.recipes / file.parent.name / f"{file.name.removesuffix(TEMPLATE_SUFFIX)}.yaml"
    if recipe.is_file():
        selection.recipes[recipe] = catalogue
        return
    selection.includes[file] = catalogue
    if file.parent.name != "include":
        text = f"no recipe belongs to this template: {recipe} is missing"
        selection.findings.append(Finding(str(file), 1, 1, "template-orphan", text))


def _catalogue_of(path: Path) -> Catalogue | None:
    """Return the catalogue that a path stands in: the one around its nearest `recipes` or `templates`."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100  # `..` is resolved, links are not
    for steps, folder in enumerate([absolute, *absolute.parents]):
        if folder.name in ("recipes", "templates"):
            # As it was named: a relative path stays one.
            here, beside = _up(path, steps), _up(path, steps + 1)
            folders = {each: beside / each for each in ("recipes", "templates")} | {folder.name: here}
            return Catalogue(folders["recipes"], folders["templates"])
    return None


def _up(path: Path, steps: int) -> Path:
    """Return a folder above a path, named like the path itself: `a/b` two up is `.`."""
    return Path(os.path.normpath(path.joinpath(*[".."] * steps)))
