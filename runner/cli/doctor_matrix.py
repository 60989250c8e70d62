"""`ebpf-recipe doctor --matrix`: which recipes run on which hosts of a fleet, from stored files alone."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.doctor.fleet import Fleet
    from runner.doctor.matrix_document import Matrix


class Format(StrEnum):
    """How the matrix is printed."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


MOST_BYTES = 64 << 20
"""No document of a host comes near."""


def print_matrix(names: Sequence[str], form: Format) -> None:
    """Print which recipes run on the hosts that files tell of.

    :param names: Files, and directories of files whose names end in `.json`.
    :raises NotUnderstood: None of them tells of a host.
    """
    from runner.cli.output import print_text, say
    from runner.doctor.fleet import Fleet
    from runner.doctor.matrix import make_matrix
    from runner.errors import ExitCode, NotUnderstood
    from runner.recipe.catalogue import recipe_ids

    fleet = Fleet()
    for name in names:
        for path in _files(name, fleet):
            _read(path, fleet)
    for problem in fleet.problems:
        say(f"not used: {problem['message']}")
    if not fleet.hosts:
        raise NotUnderstood(
            "no file tells of a host",
            hint="on each host: sudo ebpf-recipe doctor --json > HOST.json",
        )
    matrix = make_matrix(recipe_ids(), fleet.hosts, fleet.problems)
    print_text(_formatted(matrix, form))
    if fleet.problems:
        raise typer.Exit(ExitCode.DECODE)


def _files(name: str, fleet: Fleet) -> Iterator[Path]:
    path = Path(name)
    if not path.is_dir():
        yield path
        return
    found = sorted(each for each in path.rglob("*.json") if each.is_file())
    if not found:
        fleet.refuse(name, f"{name} has no file whose name ends in .json")
    yield from found


def _read(path: Path, fleet: Fleet) -> None:
    from runner.capture.whole_file import read_whole

    try:
        raw = read_whole(path, MOST_BYTES)
    except OSError as error:
        fleet.refuse(str(path), f"{path}: {error.strerror}")
    else:
        fleet.add(raw, str(path))


def _formatted(matrix: Matrix, form: Format) -> str:
    match form:
        case Format.JSON:
            import orjson

            return orjson.dumps(matrix, option=orjson.OPT_INDENT_2).decode()
        case Format.MARKDOWN:
            from runner.report.doctor_matrix import markdown_of_matrix

            return markdown_of_matrix(matrix)
        case Format.TABLE:
            from runner.report.doctor_matrix import format_matrix

            return format_matrix(matrix, in_color=sys.stdout.isatty())
