"""The JSON Schemas of experiments: of their files, and of what became of them."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from runner.recipe.schema import SCHEMA_URI
from runner.workflow.experiment.document import SCHEMA, ExperimentResult
from runner.workflow.experiment.model import Experiment

FILE_SCHEMA = "ebpf-recipe/experiment-file/v1"


def experiment_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that every experiment's file satisfies."""
    return {"$schema": SCHEMA_URI, "$id": FILE_SCHEMA, **Experiment.model_json_schema(by_alias=True)}


def result_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the document of an experiment."""
    return {"$schema": SCHEMA_URI, "$id": SCHEMA, **TypeAdapter(ExperimentResult).json_schema()}
