"""Read an experiment's file; report every mistake in it at once, as `file:line:col`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.errors import NotUnderstood
from runner.recipe.finding import Finding, RecipeRefused
from runner.recipe.model_file import read_model
from runner.recipe.remedies import without_tags
from runner.workflow.experiment.model import SHAPES, Experiment

if TYPE_CHECKING:
    from pathlib import Path


def load_experiment(path: Path) -> Experiment:
    """Read an experiment that can be tried.

    :raises NotUnderstood: The file cannot be read, or is no YAML.
    :raises RecipeRefused: With every mistake, a line each.
    """
    made = read_experiment_file(path)
    if isinstance(made, Experiment):
        return made
    if any(each.rule == "unreadable" or each.rule.startswith("yaml-") for each in made):
        raise NotUnderstood("\n".join(map(str, made)))
    raise RecipeRefused(made, hint=f"ebpf-recipe lint {path}")


def read_experiment_file(path: Path) -> Experiment | list[Finding]:
    """Read a file; return every mistake in it where it has some."""
    return read_model(path, Experiment, shown=_without_tags)


def _without_tags(location: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return where in the file an error of the model is, which names kinds and forms of values too."""
    return without_tags(tuple(part for part in location if part not in SHAPES))
