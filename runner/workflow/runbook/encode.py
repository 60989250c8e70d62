"""The documents of runbooks as JSON, read again, and their JSON Schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter, ValidationError

from runner.errors import NotUnderstood
from runner.recipe.schema import SCHEMA_URI
from runner.workflow.runbook.document import SCHEMA, RunbookRun
from runner.workflow.runbook.model import Runbook

if TYPE_CHECKING:
    from pathlib import Path

RUNBOOK_SCHEMA = "ebpf-recipe/runbook/v1"


def encode_run(run: RunbookRun) -> bytes:
    """Return the document as indented JSON with a final newline."""
    return orjson.dumps(run, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read_run(path: Path) -> RunbookRun:
    """Read the document of a run.

    :raises NotUnderstood: It is none.
    """
    try:
        return TypeAdapter(RunbookRun).validate_python(orjson.loads(path.read_bytes()))
    except OSError as error:
        raise NotUnderstood(f"{path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise NotUnderstood(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise NotUnderstood(f"{path} is no {SCHEMA}: {place}: {first['msg']}") from error


def run_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a run of a runbook."""
    return {"$schema": SCHEMA_URI, "$id": SCHEMA, **TypeAdapter(RunbookRun).json_schema()}


def runbook_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that every runbook's file satisfies."""
    return {"$schema": SCHEMA_URI, "$id": RUNBOOK_SCHEMA, **Runbook.model_json_schema(by_alias=True)}
