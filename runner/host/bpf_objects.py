"""Programs, maps and links of the kernel, as bpftool lists them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.host.bpftool import Bpftool


@dataclass(frozen=True, slots=True)
class KernelProgram:
    """A loaded program.

    Texts may have lone surrogates, for bytes that are not UTF-8.

    :param loaded_at: Seconds since 1970.
    :param uid: The user who loaded it.
    :param translated_bytes: Its instructions as the kernel rewrote them; `native_bytes` for the processor
        (0: it is interpreted); `locked_bytes` is the memory that it takes.
    :param run_ns: How long it ran, and `runs` how often, while that was counted; None where nothing was.
    :param misses: How often the kernel left it out because another program ran there; None likewise.
    :param holders: Processes that bpftool says to hold it.
    """

    identity: int
    type: str
    name: str
    tag: str
    loaded_at: int | None
    uid: int | None
    translated_bytes: int
    native_bytes: int
    locked_bytes: int
    run_ns: int | None
    runs: int | None
    misses: int | None
    maps: tuple[int, ...]
    pins: tuple[str, ...]
    holders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KernelMap:
    """A map."""

    identity: int
    type: str
    name: str
    key_bytes: int
    value_bytes: int
    max_entries: int
    locked_bytes: int
    pins: tuple[str, ...]
    holders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KernelLink:
    """What attaches a program, and lives by itself.

    :param fields: What bpftool says of it besides, which differs by type.
    """

    identity: int
    type: str
    program: int
    pins: tuple[str, ...]
    holders: tuple[int, ...]
    fields: Mapping[str, Any]


def list_programs(tool: Bpftool, *, with_pins: bool = True) -> list[KernelProgram]:
    """Return all programs that are loaded, in the order of their ids.

    :raises HostRefused: bpftool cannot say.
    """
    return [_program(each) for each in objects(tool.json("prog", "show", with_pins=with_pins))]


def list_maps(tool: Bpftool) -> list[KernelMap]:
    """Return all maps.

    :raises HostRefused: bpftool cannot say.
    """
    return [
        KernelMap(
            each["id"],
            _type(each),
            _text(each, "name"),
            integer(each, "bytes_key") or 0,
            integer(each, "bytes_value") or 0,
            integer(each, "max_entries") or 0,
            integer(each, "bytes_memlock") or 0,
            _texts(each, "pinned"),
            _pids(each),
        )
        for each in objects(tool.json("map", "show", with_pins=True))
    ]


def list_links(tool: Bpftool) -> list[KernelLink]:
    """Return all links of programs.

    :raises HostRefused: bpftool cannot say.
    """
    return [
        KernelLink(each["id"], _type(each), each["prog_id"], _texts(each, "pinned"), _pids(each), each)
        for each in objects(tool.json("link", "show", with_pins=True))
        if integer(each, "prog_id") is not None
    ]


def objects(answer: Any) -> Iterator[dict[str, Any]]:
    """Yield what has an id, of an answer that should be an array of such."""
    for each in answer if isinstance(answer, list) else ():
        if isinstance(each, dict) and integer(each, "id") is not None:
            yield each


def integer(fields: Mapping[str, Any], name: str) -> int | None:
    """Return a field that is an integer, else None."""
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _program(fields: dict[str, Any]) -> KernelProgram:
    maps = fields.get("map_ids")
    return KernelProgram(
        fields["id"],
        _type(fields),
        _text(fields, "name"),
        _text(fields, "tag"),
        integer(fields, "loaded_at"),
        integer(fields, "uid"),
        integer(fields, "bytes_xlated") or 0,
        integer(fields, "bytes_jited") or 0,
        integer(fields, "bytes_memlock") or 0,
        integer(fields, "run_time_ns"),
        integer(fields, "run_cnt"),
        integer(fields, "recursion_misses"),
        tuple(each for each in maps if isinstance(each, int)) if isinstance(maps, list) else (),
        _texts(fields, "pinned"),
        _pids(fields),
    )


def _type(fields: Mapping[str, Any]) -> str:
    """Return a type by its name, or as a number where this bpftool does not know it."""
    value = fields.get("type")
    return value if isinstance(value, str) else f"type {value}"


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _texts(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = fields.get(name)
    return tuple(each for each in values if isinstance(each, str)) if isinstance(values, list) else ()


def _pids(fields: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the processes that hold an object, where bpftool was built to look for them."""
    values = fields.get("pids")
    if not isinstance(values, list):
        return ()
    found = (integer(each, "pid") for each in values if isinstance(each, dict))
    return tuple(pid for pid in found if pid is not None)
