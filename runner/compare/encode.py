"""Comparisons as JSON text, and the JSON Schema of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from runner.compare.document import Comparison


def encode_comparison(comparison: Comparison) -> bytes:
    """Return the comparison as indented JSON with a final newline; the same one is the same bytes."""
    try:
        return orjson.dumps(comparison, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        # Counts of more than 64 bits: sums of many captures.
        return json.dumps(comparison, indent=2, ensure_ascii=False).encode() + b"\n"


def comparison_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that every comparison of version 1 satisfies."""
    # They take a tenth of a second to load, and only the schema needs them.
    from pydantic import TypeAdapter  # noqa: PLC0415

    from runner.compare.document import Comparison  # noqa: PLC0415

    schema = TypeAdapter(Comparison).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "ebpf-recipe/comparison/v1",
        **schema,
    }
