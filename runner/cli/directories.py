"""Directories of recipes that words of a command line name: known before Typer is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

OPTION = "--recipes"


def named_directories(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Return the directories that words name with `--recipes`, and the other words.

    What stands behind `--` is another command's.
    """
    directories: list[Path] = []
    others: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return directories, [*others, word, *rest]
        if word == OPTION and rest and not rest[0].startswith("-"):
            directories.append(Path(rest.pop(0)))
        elif word.startswith(f"{OPTION}="):
            directories.append(Path(word.partition("=")[2]))
        else:
            others.append(word)
    return directories, others
