"""The entries of one map, by the types of its program where it has them."""

from __future__ import annotations

import json
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any

from runner.errors import ValueRefused
from runner.host.bpf_objects import integer, list_maps
from runner.host.bpftool import MOST_BYTES, AnswerCut, ObjectMissing, elements, parse_answer
from runner.programs.document import MAP_SCHEMA
from runner.programs.texts import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.host.bpf_objects import KernelMap
    from runner.host.bpftool import Bpftool
    from runner.programs.document import Entry, MapDump, OfProcessor

_SIZES = (1, 2, 4, 8)


def dump_map(tool: Bpftool, named: str, *, most: int, most_bytes: int = MOST_BYTES) -> MapDump:
    """Return the entries of a map.

    :param named: Its id, or its name where only one map has that.
    :param most: How many entries to return, and `most_bytes` how much of bpftool's answer to read for them.
    :raises ValueRefused: There is no such map, or there are several.
    :raises HostRefused: It cannot be read.
    """
    found = find_map(list_maps(tool), named)
    answer, is_cut = b"", False
    arguments = ("-j", "map", "dump", "id", str(found.identity))
    try:
        answer = tool.raw(*arguments, most=most_bytes)
        read: Iterator[Any] = iter(parse_answer(answer, f"{tool.path.name} {' '.join(arguments)}"))
    except AnswerCut as cut:
        read, is_cut = elements(cut.beginning), True
    except ObjectMissing as error:
        raise ValueRefused(f"map {found.identity} is no longer there") from error
    raw = list(islice(read, most + 1))
    said = None
    if len(raw) > most:
        said = f"the first {most} entries of a map of up to {found.max_entries}; --most takes more"
    elif is_cut:
        said = f"the first {len(raw)} entries, which is what {most_bytes >> 20} MiB of bpftool's answer have"
    return {
        "schema": MAP_SCHEMA,
        "id": found.identity,
        "type": found.type,
        "name": text_of(found.name),
        "max_entries": found.max_entries,
        "typed": any(isinstance(each, dict) and "formatted" in each for each in raw),
        "entries": [_entry(each) for each in raw[:most] if isinstance(each, dict)],
        "cut": said,
    }


def find_map(maps: list[KernelMap], named: str) -> KernelMap:
    """Return the map that has an id or, where no other has it, a name.

    :raises ValueRefused: There is none, or there are several.
    """
    found = [each for each in maps if named == str(each.identity)]
    found = found or [each for each in maps if each.name == named]
    if not found:
        raise ValueRefused(f"--map {named!r}: there is no such map", hint="ebpf-recipe programs shows them")
    if len(found) > 1:
        ids = ", ".join(str(each.identity) for each in found[:20])
        raise ValueRefused(f"--map {named!r}: {len(found)} maps have this name", hint=f"one of {ids}")
    return found[0]


def encode_dump(dump: MapDump) -> bytes:
    """Return a dump as indented JSON, its integers exact however great; what is not ASCII is escaped."""
    return json.dumps(dump, indent=2).encode() + b"\n"


def _entry(raw: Mapping[str, Any]) -> Entry:
    typed = raw.get("formatted")
    typed = typed if isinstance(typed, dict) else {}
    key = _bytes(raw.get("key"))
    value, values = raw.get("value"), raw.get("values")
    error = value.get("error") if isinstance(value, dict) else raw.get("error")
    plain = _bytes(value) if isinstance(value, list) else None
    return {
        "key_bytes": key.hex(),
        "key": _clean(typed["key"]) if "key" in typed else _number(key),
        "value_bytes": plain.hex() if plain is not None else None,
        "value": _clean(typed["value"]) if "value" in typed else _number(plain or b""),
        "values": _of_processors(values, typed.get("values")) if isinstance(values, list) else None,
        "error": text_of(str(error)) if error is not None else None,
    }


def _of_processors(values: list[Any], typed: Any) -> list[OfProcessor]:
    listed = typed if isinstance(typed, list) else []
    decoded = {each.get("cpu"): each.get("value") for each in listed if isinstance(each, dict)}
    found: list[OfProcessor] = []
    for each in values:
        cpu = integer(each, "cpu") if isinstance(each, dict) else None
        if cpu is not None:
            raw = _bytes(each.get("value"))
            value = _clean(decoded[cpu]) if cpu in decoded else _number(raw)
            found.append({"cpu": cpu, "bytes": raw.hex(), "value": value})
    return found


def _bytes(words: Any) -> bytes:
    """Return bytes that bpftool writes as an array of words such as 0x1f."""
    try:
        return bytes(int(word, 16) for word in words)
    except (TypeError, ValueError):
        return b""


def _number(raw: bytes) -> int | None:
    return int.from_bytes(raw, sys.byteorder) if len(raw) in _SIZES else None


def _clean(value: Any) -> Any:
    """Return a decoded value whose texts can be written, however they came."""
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, list):
        return [_clean(each) for each in value]
    if isinstance(value, dict):
        return {key.encode(errors="replace").decode(): _clean(each) for key, each in value.items()}
    return value
