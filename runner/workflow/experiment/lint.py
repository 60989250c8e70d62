"""Everything that is wrong with experiments' files, and which of some paths are such files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.errors import EbpfRecipeError
from runner.recipe.lint.files import is_experiment
from runner.recipe.yaml_file import read_yaml
from runner.workflow.experiment.load import read_experiment_file
from runner.workflow.experiment.model import Experiment
from runner.workflow.experiment.prepare import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from runner.recipe.finding import Finding


def select_experiments(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the experiments, and the paths that something else is looked for in.

    :param paths: Files and directories.
    """
    experiments: list[Path] = []
    others: list[Path] = []
    for path in paths:
        if path.is_dir():
            files = [each for each in sorted(path.rglob("*")) if each.is_file()]
            found = [each for each in files if is_experiment(each)]
            experiments += found
            if not found or len(found) < len([each for each in files if each.suffix in (".yaml", ".yml")]):
                others.append(path)
        elif path.is_file() and is_experiment(path):
            experiments.append(path)
        else:
            others.append(path)
    return experiments, others


def lint_experiment(path: Path) -> Iterator[Finding]:
    """Return what is wrong with a file; of what the model cannot know the first alone."""
    found = read_experiment_file(path)
    if not isinstance(found, Experiment):
        yield from found
        return
    try:
        prepare(found, path.parent, None)
    except EbpfRecipeError as error:
        yield read_yaml(path).finding("experiment-value", (), error.message)
