"""The JSON Schema of a case, generated from the types in `documents.py`."""

from typing import Any

from pydantic import TypeAdapter

from runner.capture.schema import SCHEMA_URI
from runner.workflow.documents import Case


def case_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that every case of version 1 satisfies."""
    schema = TypeAdapter(Case).json_schema()
    return {"$schema": SCHEMA_URI, "$id": "ebpf-recipe/case/v1", **schema}
