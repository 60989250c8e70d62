"""Cases, symptoms and their causes as the command line prints them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, get_args

from runner.recipe.vocabulary import Symptom

if TYPE_CHECKING:
    from pathlib import Path

    from runner.cli.output import Destination
    from runner.workflow.documents import Case


class Format(StrEnum):
    """How a case is printed."""

    AUTO = "auto"
    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def print_case(case: Case, folder: Path, form: Format, destination: Destination) -> None:
    """Print what was concluded.

    :param folder: Where it is kept.
    """
    import sys

    import orjson

    from runner.report.case import case_as_markdown, case_as_text

    if form is Format.AUTO:
        form = Format.TABLE if destination.path is None and sys.stdout.isatty() else Format.JSON
    if form is Format.JSON:
        destination.write(orjson.dumps(case, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    elif form is Format.MARKDOWN:
        destination.write(case_as_markdown(case).encode())
    else:
        destination.write(case_as_text(case, folder).encode())


def print_symptoms() -> None:
    """Print the symptoms, each with the causes that it may have."""
    from runner.cli.output import print_text
    from runner.recipe.hypotheses import hypotheses
    from runner.workflow.planning import TITLES

    lines = []
    for symptom in get_args(Symptom):
        lines.append(f"{symptom}: {TITLES[symptom]}")
        lines += [
            f"  {each.id:<16} {each.layer:<6} {each.title}"
            for each in hypotheses().values()
            if symptom in each.symptoms
        ]
    print_text("\n".join(lines))
