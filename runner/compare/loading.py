"""The files of a side: what was named, what stands in it, and what could not be read."""

from __future__ import annotations

import glob
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.capture.read import read_captures
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.capture.document import Capture
    from runner.compare.document import ComparisonProblem, SideName

_SUFFIXES = (".json", ".jsonl")


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of a side.

    :param captures: Each with the file that it stands in.
    :param problems: Of what could not be read.
    """

    captures: Sequence[tuple[str, Capture]]
    problems: list[ComparisonProblem] = field(default_factory=list)


def read_side(names: Iterable[str], side: SideName) -> Read:
    """Read all captures of a side; what cannot be read keeps nothing else from being read.

    :param names: Of files; of directories, whose files ending in .json and .jsonl are meant; patterns of
        both, where there is no file of that name.
    """
    captures: list[tuple[str, Capture]] = []
    problems: list[ComparisonProblem] = []
    seen: set[Path] = set()
    for name in names:
        paths, why = _files(name)
        if why is not None:
            problems.append(_problem(side, name, why))
        for path in paths:
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            try:
                captures += [(str(path), capture) for capture in read_captures(path)]
            except NotUnderstood as error:
                hint = f" ({error.hint})" if error.hint else ""
                problems.append(_problem(side, str(path), f"{error.message}{hint}"))
    return Read(captures, problems)


def _files(name: str) -> tuple[list[Path], str | None]:
    """Return the files that a name means, or why there are none."""
    path = Path(name)
    if path.is_dir():
        found = sorted(each for each in path.iterdir() if each.suffix in _SUFFIXES and not each.is_dir())
        return found, None if found else f"{name} has no captures in it (files ending in .json or .jsonl)"
    if path.exists() or not glob.has_magic(name):
        return [path], None
    # A pattern may be absolute, which those of pathlib are not.
    found = [each for match in sorted(glob.glob(name, recursive=True)) for each in _files(match)[0]]  # noqa: PTH207
    return found, None if found else f"no file is called {name}"


def _problem(side: SideName, name: str, why: str) -> ComparisonProblem:
    return {"code": "unreadable", "side": side, "files": [name], "detail": why, "left_out": True}
