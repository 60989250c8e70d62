"""What a template may not write by hand, for some release of bpftrace gets it wrong or the runner does it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_COMMENTS = re.compile(r"\{#.*?#\}|//[^\n]*|/\*.*?\*/", re.DOTALL)

_ALWAYS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"^[ \t]*(BEGIN|END|begin|end)\b", re.MULTILINE),
        "{0} is the runner's own, and there is one only",
    ),
    (
        re.compile(r"\b(system|signal|override|override_return|skboutput|cat|join)\s*\("),
        "{0}() does something else than to measure: no recipe has it",
    ),
)
"""What holds of a rendered program too, whose output maps are written by record() alone."""

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    *_ALWAYS,
    (
        re.compile(r"=\s*(min|max|avg|stats|hist|lhist|tseries)\s*\("),
        "{0}() is not exact on every bpftrace: declare an output of that kind and record() into it",
    ),
    (
        re.compile(r"\b(print|clear|zero)\s*\(\s*@"),
        "{0}() of a map is the runner's: declare what is to be printed",
    ),
)


UNDECLARED_MAP = "{0} is no output and no scratch map: what is in it would be lost"

_IN_PROGRAM = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"', re.DOTALL)


def undeclared_maps(source: str, declared: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Return each map that a template writes out and nobody declared, with its line, from 1."""
    code = _COMMENTS.sub(_blanked, source)
    code = _IN_PROGRAM.sub(_blanked, code)
    names = set(declared)
    for match in re.finditer(r"@\w*", code):
        if match[0] not in names:
            yield code.count("\n", 0, match.start()) + 1, match[0]


def _blanked(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def broken_in_program(program: str) -> Iterator[str]:
    """Return what a rendered program has and may not have, however its template wrote it."""
    code = _IN_PROGRAM.sub(_blanked, program)
    for pattern, message in _ALWAYS:
        yield from dict.fromkeys(message.format(match[1]) for match in pattern.finditer(code))


def bare_code(program: str) -> str:
    """Return a program without its comments and texts."""
    return _IN_PROGRAM.sub("", program)


def used_maps(program: str) -> set[str]:
    """Return the maps that a rendered program names."""
    return set(re.findall(r"@\w*", bare_code(program)))


def map_differences(
    program: str, declared: Iterable[str], outputs: Iterable[str]
) -> Iterator[tuple[str, str, str]]:
    """Return what a rendered program and the declared maps do not have in common: rule, map and text.

    :param declared: Every map that the program may use.
    :param outputs: Those of them that are to be printed.
    """
    used = used_maps(program)
    for name in sorted(used - set(declared)):
        yield "map-undeclared", name, UNDECLARED_MAP.format(name)
    for name in sorted(set(outputs) - used):
        yield "map-unused", name, f"{name} is an output that nothing is recorded into"


def broken_rules(source: str, output_maps: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Return each mistake in a template with its line, from 1.

    :param source: The template's text.
    :param output_maps: Maps that are written by `record()` alone.
    """
    code = _COMMENTS.sub(_blanked, source)
    for pattern, message in _RULES:
        for match in pattern.finditer(code):
            yield code.count("\n", 0, match.start(1)) + 1, message.format(match[1])
    for name in output_maps:
        for match in re.finditer(rf"{re.escape(name)}\b", code):
            yield code.count("\n", 0, match.start()) + 1, f"{name} is an output: record() alone writes to it"
