"""The files of a side: what was named, what stands in it, and what could not be read."""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.capture.consistency import impossible_number
from runner.capture.read import read_captures
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.capture.document import Capture
    from runner.compare.document import ComparisonProblem, ProblemCode, SideName

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
        both, where there is no file of that name. Their order means nothing.
    """
    captures: list[tuple[str, Capture]] = []
    problems: list[ComparisonProblem] = []
    seen: set[str] = set()
    for name in sorted(set(names)):
        try:
            paths = _files(name)
        except NotUnderstood as error:
            problems.append(_problem(side, name, error))
            continue
        for path in paths:
            # Unlike pathlib's it takes links that lead in a circle for what they are.
            real = os.path.realpath(path)
            if real in seen:
                continue
            seen.add(real)
            try:
                found = read_captures(path)
            except NotUnderstood as error:
                problems.append(_problem(side, str(path), error))
                continue
            for capture in found:
                why = impossible_number(capture)
                if why is None:
                    captures.append((str(path), capture))
                else:
                    problems.append(_problem(side, str(path), NotUnderstood(why), "not-a-capture"))
    return Read(captures, problems)


def _files(name: str) -> list[Path]:
    """Return the files that a name means.

    :raises NotUnderstood: It means none.
    """
    # Those of pathlib raise where a name is too long or a directory is shut, and know no absolute patterns.
    if os.path.isdir(name):  # noqa: PTH112
        found = _captures_in(Path(name))
        if not found:
            raise NotUnderstood(f"{name} has no captures in it (files ending in .json or .jsonl)")
        return found
    if os.path.lexists(name) or not glob.has_magic(name):
        return [Path(name)]
    found = []
    for match in sorted(glob.glob(name, recursive=True)):  # noqa: PTH207
        found += _captures_in(Path(match)) if os.path.isdir(match) else [Path(match)]  # noqa: PTH112
    if not found:
        raise NotUnderstood(f"no file is called {name}")
    return found


def _captures_in(directory: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208
    except OSError as error:
        raise NotUnderstood(f"{directory}: {error.strerror}") from error
    found = [directory / name for name in names if name.endswith(_SUFFIXES)]
    return [each for each in found if not os.path.isdir(each)]  # noqa: PTH112


def _problem(
    side: SideName, name: str, why: NotUnderstood, code: ProblemCode = "unreadable"
) -> ComparisonProblem:
    hint = f" ({why.hint})" if why.hint else ""
    return {
        "code": code,
        "side": side,
        "files": [name],
        "detail": f"{why.message}{hint}",
        "left_out": True,
    }
