"""Printed keys of maps that nobody declared: cut into parts where that can be done in one way only."""

from __future__ import annotations

import ipaddress
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.bpftrace.keys import in_64_bits
from runner.bpftrace.repair import as_bytes
from runner.bpftrace.stacks import decode_stack
from runner.capture.encode import encode_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runner.bpftrace.evidence import Evidence
    from runner.capture.document import KeyValue

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,19}")
_NO_SPACES = re.compile(r"|-?[0-9]+|0x[0-9a-f]+|\[[-0-9,]*\]|(?:[0-9A-F]{2}:){5}[0-9A-F]{2}")
"""Nothing, numbers, addresses of all kinds, arrays: what no space could have been lost from."""

_STACK_TWICE = re.compile(r"(?:^|,)\\n(?:(?: {8}|\\t)\S|[0-9a-f]{6,16}\\n)")
_STACK_INDENTED = re.compile(r"(?:^|,)\n {4}\S[^\n]*\n")
_STACK_BARE = re.compile(r"(?:^|,)\n[A-Za-z_][\w.]*\+\d+\n")

_MOST_PIECES = 32
_MOST_WAYS = 1000
"""Ways to cut one key that are tried; one that can be cut in more is ambiguous anyway."""


@dataclass(frozen=True, slots=True)
class CutKey:
    """A key as far as it can be cut: its parts, or None where there are several ways."""

    printed: str
    parts: tuple[str, ...] | None


def cut_keys(printed: Sequence[str], separator: str, parts: int | None) -> tuple[int, list[CutKey]]:
    """Cut the keys of a map.

    Parts are joined without quotes: a text may look like several parts. Stacks can be told, for each of
    their frames has a line. Where the number of parts is not known, keys without a separator have one.

    :param parts: How many parts each key has, where that is known.
    :returns: The number of parts, and each key.
    """
    pieces = [list(_pieces(key, separator)) for key in printed]
    if not pieces:
        return parts or 1, []
    if parts is None:
        sizes = {len(each) for each in pieces}
        # Between stacks a text without a separator is one part.
        has_stacks = [any(is_stack for is_stack, _ in each) for each in pieces]
        is_plain = sizes == {1} or (len(sizes) == 1 and all(map(_is_certain, pieces, has_stacks)))
        parts = sizes.pop() if is_plain else 1
        if not is_plain:
            return 1, [
                CutKey(key, (key,) if len(each) == 1 else None)
                for key, each in zip(printed, pieces, strict=True)
            ]
    numbers = _columns_of_numbers(pieces, parts)
    return parts, [
        CutKey(key, _only_way(each, separator, parts, numbers))
        for key, each in zip(printed, pieces, strict=True)
    ]


def note_stacks(keys: Iterable[str], evidence: Evidence) -> None:
    """Narrow the releases by how JSON prints the stacks of keys: escaped twice, or how far indented."""
    if evidence.first == evidence.last:
        return
    for key in keys:
        if _STACK_TWICE.search(key):
            evidence.since((0, 22))
            evidence.until((0, 23))
        elif _STACK_INDENTED.search(key):
            evidence.until((0, 21))
        elif _STACK_BARE.search(key):
            evidence.since((0, 24))


def is_integer(text: str) -> bool:
    """Whether a text is how bpftrace prints an integer of 64 bits."""
    return _INTEGER.fullmatch(text) is not None and in_64_bits(int(text))


def is_stack(text: str) -> bool:
    """Whether a printed part is a stack: its frames have a line each."""
    return len(text) > 1 and text.startswith("\n") and text.endswith("\n")


def key_values(column: Iterable[str]) -> list[KeyValue]:
    """Return a column's parts as values: numbers where every part is one, stacks, else texts."""
    texts = list(column)
    if texts and all(is_integer(text) for text in texts):
        return [int(text) for text in texts]
    if any(is_stack(text) for text in texts) and all(is_stack(text) or text in ("", "\n") for text in texts):
        return [decode_stack(text) for text in texts]
    return [encode_text(as_bytes(text)) for text in texts]


def may_have_had_spaces(text: str) -> bool:
    """Whether a part that JSON printed without its spaces (since 0.24) may have had some."""
    if is_stack(text):
        return any("symbol" in frame for frame in decode_stack(text))
    return not _NO_SPACES.fullmatch(text) and not _is_address(text)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _pieces(key: str, separator: str) -> Iterator[tuple[bool, str]]:
    """Split a key at its separators, stacks kept whole: whether it is a stack, and its text."""
    if not key.startswith("\n") and f"{separator}\n" not in key:
        yield from ((False, piece) for piece in key.split(separator))
        return
    rest: str | None = key
    while rest is not None:
        if rest.startswith("\n"):
            end = _end_of_stack(rest, separator)
            if end is not None:
                yield True, rest[:end]
                rest = rest[end + len(separator) :] if end < len(rest) else None
                continue
        piece, found, rest_text = rest.partition(separator)
        yield False, piece
        rest = rest_text if found else None


def _end_of_stack(text: str, separator: str) -> int | None:
    """Return where the stack that begins the text ends; None where it is none."""
    place = 1
    while place < len(text):
        if text.startswith(separator, place):
            return place
        newline = text.find("\n", place)
        if newline < 0:
            return None
        place = newline + 1
    return place


def _is_certain(pieces: Sequence[tuple[bool, str]], has_stack: bool) -> bool:
    """Whether no two texts stand side by side: they could be one text with a separator in it."""
    return has_stack and not any(
        not first and not second for (first, _), (second, _) in itertools.pairwise(pieces)
    )


def _columns_of_numbers(pieces: Sequence[Sequence[tuple[bool, str]]], parts: int) -> set[int]:
    """Return the columns that hold numbers in every key that can be cut in one way only."""
    whole = [each for each in pieces if len(each) == parts]
    return {place for place in range(parts) if whole and all(is_integer(each[place][1]) for each in whole)}


def _only_way(
    pieces: Sequence[tuple[bool, str]], separator: str, parts: int, numbers: set[int]
) -> tuple[str, ...] | None:
    """Return the parts where there is one way only to join the pieces to so many."""
    texts = [text for _, text in pieces]
    if len(pieces) == parts:
        return tuple(texts)
    if not 1 <= parts <= len(pieces):
        return None
    if parts == 1:
        return (separator.join(texts),)
    if len(pieces) > _MOST_PIECES:
        return None
    found = None
    for tried, cuts in enumerate(itertools.combinations(range(1, len(pieces)), parts - 1)):
        if tried > _MOST_WAYS:
            return None
        edges = (0, *cuts, len(pieces))
        spans = list(itertools.pairwise(edges))
        if any(
            end - start > 1 and any(is_stack for is_stack, _ in pieces[start:end]) for start, end in spans
        ):
            continue
        way = tuple(separator.join(texts[start:end]) for start, end in spans)
        if any(not is_integer(way[place]) for place in numbers):
            continue
        if found is not None:
            return None
        found = way
    return found
