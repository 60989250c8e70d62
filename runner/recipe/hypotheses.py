"""Where hypotheses are found and how they are read: `recipes/hypotheses/<id>.yaml` of every catalogue."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from runner.errors import ValueRefused
from runner.recipe.catalogue import HYPOTHESES, catalogues
from runner.recipe.finding import RecipeRefused
from runner.recipe.model_file import read_model
from runner.recipe.model_hypothesis import Hypothesis

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runner.recipe.finding import Finding


def hypotheses() -> dict[str, Hypothesis]:
    """Return all of them, of every catalogue, by their ids.

    :raises RecipeRefused: Files have mistakes: all of them, a line each.
    :raises ValueRefused: An id stands twice.
    """
    found: dict[str, tuple[Path, Hypothesis]] = {}
    findings: list[Finding] = []
    for path in hypothesis_files():
        made = read_hypothesis(path)
        if isinstance(made, Hypothesis):
            first, _ = found.setdefault(path.stem, (path, made))
            if first != path:
                raise ValueRefused(f"the hypothesis {path.stem} stands twice: {first} and {path}")
        else:
            findings += made
    if findings:
        raise RecipeRefused(findings)
    return {name: one for name, (_, one) in sorted(found.items())}


def hypothesis_files() -> list[Path]:
    """Return the files of all hypotheses."""
    return [path for each in catalogues() for path in sorted((each.recipes / HYPOTHESES).glob("*.yaml"))]


def read_hypothesis(path: Path) -> Hypothesis | list[Finding]:
    """Read one file; return every mistake in it where it has some."""
    return read_model(path, Hypothesis)


def near_ids(name: str, known: Mapping[str, object]) -> str:
    """Return what may have been meant, as the end of a message."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f": did you mean {' or '.join(near)}?" if near else ""
