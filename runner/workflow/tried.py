"""The experiments that a case keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.workflow.experiment.folder import read_experiment

if TYPE_CHECKING:
    from pathlib import Path

    from runner.workflow.documents import Tried
    from runner.workflow.experiment.document import ExperimentResult

EXPERIMENTS = "experiments"
"""Their directory in a case: a document of each."""


def tried_in(path: Path) -> list[Tried]:
    """Return the experiments that a case keeps, in their order.

    :raises NotUnderstood: One is damaged.
    """
    documents = [read_experiment(each) for each in sorted((path / EXPERIMENTS).glob("*.json"))]
    return [_tried(each) for each in documents]


def _tried(result: ExperimentResult) -> Tried:
    return {
        "hypothesis": result["hypothesis"] or "",
        "remedy": result["change"]["remedy"] or result["id"],
        "parameters": result["change"]["parameters"],
        "started": result["started"],
        "verdict": result["verdict"],
        "reason": result["reason"],
        "proves": result["verdict"] == "better" and result["exit_code"] == 0,
        "directory": result["directory"],
    }
