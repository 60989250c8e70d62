"""Where remedies are found and how they are read: `recipes/remedies/<id>.yaml` of every catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.errors import ValueRefused
from runner.recipe.catalogue import REMEDIES, catalogues
from runner.recipe.finding import RecipeRefused
from runner.recipe.hypotheses import near_ids
from runner.recipe.model_file import read_model
from runner.recipe.model_remedy import Remedy

if TYPE_CHECKING:
    from pathlib import Path

    from runner.recipe.finding import Finding

_TAGS = ("file", "sysctl", "name")


@dataclass(frozen=True, slots=True)
class LoadedRemedy:
    """A remedy without mistakes, and its file."""

    remedy: Remedy
    path: Path


def remedy_paths() -> dict[str, Path]:
    """Return the files of all remedies, by their ids; none is opened.

    :raises ValueRefused: An id stands twice.
    """
    found: dict[str, Path] = {}
    for catalogue in catalogues():
        for path in sorted((catalogue.recipes / REMEDIES).glob("*.yaml")):
            first = found.setdefault(path.stem, path)
            if first != path:
                raise ValueRefused(f"the remedy {path.stem} stands twice: {first} and {path}")
    return dict(sorted(found.items()))


def find_remedy(name: str) -> LoadedRemedy:
    """Return a remedy by its id.

    :raises ValueRefused: There is none.
    :raises RecipeRefused: Its file has mistakes.
    """
    paths = remedy_paths()
    if name not in paths:
        raise ValueRefused(
            f"there is no remedy {name!r}{near_ids(name, paths)}", hint="`ebpf-recipe experiment --list`"
        )
    made = read_remedy(paths[name])
    if not isinstance(made, Remedy):
        raise RecipeRefused(made, hint=f"ebpf-recipe lint {paths[name]}")
    return LoadedRemedy(made, paths[name])


def read_remedy(path: Path) -> Remedy | list[Finding]:
    """Read one file; return every mistake in it where it has some."""
    return read_model(path, Remedy, shown=without_tags)


def without_tags(location: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return where in the file an error of the model is: behind the place of a setting it names its kind."""
    return tuple(
        part
        for place, part in enumerate(location)
        if not (part in _TAGS and place and isinstance(location[place - 1], int) and "settings" in location)
        or place + 1 == len(location)
    )
