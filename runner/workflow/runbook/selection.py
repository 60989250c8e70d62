"""Which runbooks the paths of a command line mean, and which of them mean something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.recipe.catalogue import TEMPLATE_SUFFIX
from runner.recipe.lint.files import is_runbook
from runner.workflow.runbook.catalogue import runbook_paths

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def select_runbooks(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the runbooks, and the paths that recipes or templates are looked for in.

    :param paths: Files and directories; none for all that catalogues have.
    :raises ValueRefused: An id stands twice.
    """
    if not paths:
        return list(runbook_paths().values()), []
    runbooks: list[Path] = []
    others: list[Path] = []
    for path in paths:
        if path.is_dir():
            files = [each for each in sorted(path.rglob("*")) if each.is_file()]
            found = [each for each in files if is_runbook(each)]
            runbooks += found
            if not found or any(_may_be_recipes(each) for each in files if each not in found):
                others.append(path)
        elif path.is_file() and is_runbook(path):
            runbooks.append(path)
        else:
            others.append(path)
    return runbooks, others


def _may_be_recipes(file: Path) -> bool:
    return {"recipes", "templates"} & set(file.absolute().parts) != set() and file.name.endswith(
        (".yaml", TEMPLATE_SUFFIX)
    )
