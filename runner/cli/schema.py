"""`ebpf-recipe schema`: the JSON Schemas of the documents."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Document(StrEnum):
    """The documents that have a schema."""

    CAPTURE = "capture"
    CASE = "case"
    COMPARISON = "comparison"
    DOCTOR = "doctor"
    DOCTOR_MATRIX = "doctor-matrix"
    EXPERIMENT = "experiment"
    EXPERIMENT_FILE = "experiment-file"
    MAP = "map"
    PROGRAMS = "programs"
    RECIPE = "recipe"
    RUNBOOK = "runbook"
    RUNBOOK_RUN = "runbook-run"


def print_schema(
    document: Annotated[Document, typer.Argument(help="Which document.")],
) -> None:
    """Print the JSON Schema of a document."""
    import orjson

    from runner.cli.output import print_text

    match document:
        case Document.CAPTURE:
            from runner.capture.schema import capture_schema as schema
        case Document.CASE:
            from runner.workflow.schema import case_schema as schema
        case Document.COMPARISON:
            from runner.compare.encode import comparison_schema as schema
        case Document.DOCTOR:
            from runner.doctor.document import doctor_schema as schema
        case Document.DOCTOR_MATRIX:
            from runner.doctor.matrix_document import matrix_schema as schema
        case Document.EXPERIMENT:
            from runner.workflow.experiment.schema import result_schema as schema
        case Document.EXPERIMENT_FILE:
            from runner.workflow.experiment.schema import experiment_schema as schema
        case Document.MAP:
            from runner.programs.document import map_schema as schema
        case Document.PROGRAMS:
            from runner.programs.document import programs_schema as schema
        case Document.RECIPE:
            from runner.recipe.schema import recipe_schema as schema
        case Document.RUNBOOK:
            from runner.workflow.runbook.encode import runbook_schema as schema
        case Document.RUNBOOK_RUN:
            from runner.workflow.runbook.encode import run_schema as schema
    print_text(orjson.dumps(schema(), option=orjson.OPT_INDENT_2).decode())
