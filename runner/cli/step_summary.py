"""The summary of a step of GitHub Actions: a file that the environment names, which Markdown is added to."""

from __future__ import annotations

import os
from pathlib import Path

from runner.errors import NotWritten

VARIABLE = "GITHUB_STEP_SUMMARY"


def add_to_summary(markdown: str) -> None:
    """Add Markdown to the summary, where there is one.

    :raises NotWritten: The file that the environment names does not take it.
    """
    name = os.environ.get(VARIABLE)
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(markdown)
    except OSError as error:
        raise NotWritten(f"{name} ({VARIABLE}): {error.strerror}") from error
