"""The JSON Schema of a capture, generated from the types in `document.py`."""

from typing import Any

from pydantic import TypeAdapter

from runner.capture.document import Capture

SCHEMA_URI = "https://json-schema.org/draft/2020-12/schema"


def capture_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that every capture of version 1 satisfies."""
    schema = TypeAdapter(Capture).json_schema()
    return {"$schema": SCHEMA_URI, "$id": "ebpf-recipe/capture/v1", **schema}
