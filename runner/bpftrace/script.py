"""What the text of a foreign script says: its maps and their keys, where its BEGIN is, how it prints."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.capture.declaration import Kind
    from runner.capture.document import Program

# Comments and texts, which may hold anything; a regular division never has two slashes.
_OPAQUE = re.compile(r'//[^\n]*|/\*.*?(?:\*/|\Z)|"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_MAP = re.compile(r"@\w*")
_PROBE = re.compile(r"(?:^|[};*/\n,])\s*(BEGIN|begin)\b")
_AGGREGATION = re.compile(r"\s*=\s*(count|sum|min|max|avg|stats|l?hist|tseries)\s*\(")
_NEAR = 64
"""Characters around a map that are looked at to see whether it is an argument."""

_LONGEST_KEY = 1024
_OPENING, _CLOSING = "([{", ")]}"

_KINDS: dict[str, Kind] = {
    "count": "count", "sum": "sum", "min": "min", "max": "max", "avg": "avg", "stats": "stats",
    "hist": "histogram", "lhist": "histogram", "tseries": "time-series",
}  # fmt: skip

_NUMBERS = re.compile(
    r"(?:[ptug]id|cpu|nsecs|elapsed|arg\d+|retval|rand|cgroup|ncpus|(?:0x)?[0-9]+|\(u?int\d+\)[^\"]*)"
)


@dataclass(slots=True)
class MapUse:
    """What a script says of one of its maps.

    :param parts: How many parts its keys have; None where a variable (a tuple) may stand for several.
    :param columns: The parts as the script writes them; where it writes them differently, an empty text.
    :param kind: How its values come about, where an aggregation says so.
    """

    parts: int | None = 0
    columns: list[str] = field(default_factory=list)
    kind: Kind | None = None

    @property
    def may_hold_text(self) -> bool:
        """Whether a key may be a text: what is no plain number."""
        return self.parts is None or any(not _NUMBERS.fullmatch(each) for each in self.columns)


class Script:
    """A script, read as far as our own probes and the types of its maps need it."""

    def __init__(self, text: str) -> None:
        """Read the script; one that is none has no maps, and bpftrace will say what is wrong with it."""
        self.text = text
        self._code = _OPAQUE.sub(_blank, text)
        self.maps: dict[str, MapUse] = {}
        for name, use in self._uses():
            self.maps[name] = _joined(self.maps[name], use) if name in self.maps else use

    @property
    def program(self) -> Program:
        """Return the script as a capture has it."""
        raw = self.text.encode(errors="surrogateescape")
        return {"text": raw.decode(errors="replace"), "sha256": hashlib.sha256(raw).hexdigest()}

    @property
    def has_probes(self) -> bool:
        """Whether there is anything to run."""
        return "{" in self._code

    @property
    def prints_maps_at_the_end(self) -> bool:
        """Whether bpftrace prints the maps when it ends, as it does unless the script forbids it."""
        return not re.search(r"print_maps_on_exit\s*=\s*(0|false)\b", self._code)

    @property
    def prints_maps_meanwhile(self) -> bool:
        """Whether it prints maps itself."""
        return re.search(r"\bprint\s*\(\s*@", self._code) is not None

    @property
    def has_paths_of_groups(self) -> bool:
        """Whether it prints cgroup_path(), which JSON leaves out since 0.24."""
        return re.search(r"\bcgroup_path\s*\(", self._code) is not None

    def begin(self) -> int | None:
        """Return where the body of the script's BEGIN starts, behind its brace; None where it has none."""
        depth, counted = 0, 0
        for match in _PROBE.finditer(self._code):
            place = match.start(1)
            depth += self._code.count("{", counted, place) - self._code.count("}", counted, place)
            counted = place
            if depth == 0:
                brace = self._code.find("{", place)
                return brace + 1 if brace >= 0 else None
        return None

    def _uses(self) -> Iterator[tuple[str, MapUse]]:
        for match in _MAP.finditer(self._code):
            end = match.end()
            columns: list[str] = []
            if self._code[end : end + 1] == "[":
                closing = self._closing(end)
                columns = list(self._parts(end + 1, closing))
                end = closing + 1
            elif self._is_argument(match.start(), end):
                # print(@x), clear(@x), for ($kv : @x), len(@x): says nothing of keys.
                yield match[0], MapUse(None)
                continue
            function = _AGGREGATION.match(self._code, end)
            parts: int | None = len(columns)
            if len(columns) == 1 and re.fullmatch(r"\$\w+(\.\d+)?|\(.*", columns[0]):
                parts = None
            yield match[0], MapUse(parts, columns, _KINDS[function[1]] if function else None)

    def _is_argument(self, start: int, end: int) -> bool:
        before = self._code[max(0, start - _NEAR) : start].rstrip()
        after = self._code[end : end + _NEAR].lstrip()
        return bool(re.search(r"\w\($|:$|,$", before)) and after[:1] in (")", ",", "{", "")

    def _closing(self, opening: int) -> int:
        depth = 0
        end = min(len(self._code), opening + _LONGEST_KEY)
        for place in range(opening, end):
            character = self._code[place]
            depth += (character in _OPENING) - (character in _CLOSING)
            if depth == 0:
                return place
        return end

    def _parts(self, start: int, end: int) -> Iterator[str]:
        depth, begun = 0, start
        for place in range(start, end):
            character = self._code[place]
            depth += (character in _OPENING) - (character in _CLOSING)
            if character == "," and depth == 0:
                yield " ".join(self.text[begun:place].split())
                begun = place + 1
        yield " ".join(self.text[begun:end].split())


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _joined(first: MapUse, second: MapUse) -> MapUse:
    """Return what two uses of a map say together: one that says nothing of keys leaves the other's."""
    kind = first.kind or second.kind
    if not first.columns and first.parts is None:
        return MapUse(second.parts, second.columns, kind)
    if not second.columns and second.parts is None:
        return MapUse(first.parts, first.columns, kind)
    if first.parts != second.parts:
        return MapUse(None, [], kind)
    columns = [a if a == b else "" for a, b in zip(first.columns, second.columns, strict=True)]
    return MapUse(first.parts, columns, kind)
