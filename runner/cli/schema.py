"""`ebpf-recipe schema`: the JSON Schemas of the documents."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Document(StrEnum):
    """The documents that have a schema."""

    CAPTURE = "capture"
    DOCTOR = "doctor"


def print_schema(
    document: Annotated[Document, typer.Argument(help="Which document.")],
) -> None:
    """Print the JSON Schema of a document."""
    import orjson

    from runner.capture.schema import capture_schema
    from runner.cli.output import print_text
    from runner.doctor.document import doctor_schema

    schema = capture_schema() if document is Document.CAPTURE else doctor_schema()
    print_text(orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode())
