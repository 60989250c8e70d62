"""The document of `ebpf-recipe programs`: its types and its schema."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

from runner.capture.document import TextBytes

SCHEMA: Literal["ebpf-recipe/programs/v1"] = "ebpf-recipe/programs/v1"

Text = str | TextBytes


class Holder(TypedDict):
    """A process that keeps an object in the kernel.

    `through` says by what: a descriptor of the object itself, of a link that attaches it, or of an event
    that it is attached to; `bpftool` where bpftool alone says it.
    """

    pid: int
    name: Text
    through: list[Literal["program", "map", "link", "event", "bpftool"]]


class Run(TypedDict):
    """The run of ours that a program belongs to.

    `runner` is the process that started bpftrace, `command` its words; both null where it is gone.
    """

    bpftrace: int
    runner: int | None
    command: list[Text] | None


class Attached(TypedDict):
    """One place that a program is attached to.

    `target` is the event, function, file and offset, interface or cgroup; null where nobody says it. `times`
    counts equal ones: events have one of each processor. `namespace` is the inode of another network
    namespace, `pins` are those of the link, which is kept by them where no process holds it.
    """

    kind: str
    target: Text | None
    link: int | None
    namespace: int | None
    times: int
    pins: list[Text]


class Counted(TypedDict):
    """What was counted in the seconds that were measured; `cpu_ratio` is the share of one processor."""

    run_ns: int
    runs: int
    cpu_ratio: float


class Program(TypedDict):
    """A program that is loaded.

    `translated_bytes` are its instructions as the kernel rewrote them, `native_bytes` the processor's (0: it
    is interpreted), `memory_bytes` what it takes, its maps apart. `run_ns`, `runs` and `misses` are of the
    time since it was loaded in which run times were counted, and null where that was never, as far as is
    known. `run` is null where it is not ours.
    """

    id: int
    type: str
    name: Text
    tag: str
    loaded_at: str | None
    uid: int | None
    translated_bytes: int
    native_bytes: int
    memory_bytes: int
    run_ns: int | None
    runs: int | None
    misses: int | None
    measured: Counted | None
    attached: list[Attached]
    pins: list[Text]
    maps: list[int]
    map_bytes: int
    held_by: list[Holder]
    ours: bool
    run: Run | None


class Map(TypedDict):
    """A map; ours where a program of ours uses it or a bpftrace of ours holds it."""

    id: int
    type: str
    name: Text
    key_bytes: int
    value_bytes: int
    max_entries: int
    memory_bytes: int
    pins: list[Text]
    programs: list[int]
    held_by: list[Holder]
    ours: bool


class Total(TypedDict):
    """Sums; a map that several programs use is counted once."""

    programs: int
    run_ns: int | None
    runs: int | None
    measured: Counted | None
    memory_bytes: int
    maps: int
    map_bytes: int


class Totals(TypedDict):
    """Sums of all that is loaded, and of what is ours."""

    all: Total
    ours: Total


class Statistics(TypedDict):
    """Whether the kernel counts run times (`kernel.bpf_stats_enabled`), and how long we had it count."""

    enabled: bool | None
    measured_seconds: float | None


class ProgramsHost(TypedDict):
    """Which host was looked at."""

    hostname: str
    kernel: str
    arch: str
    bpftool: str


class Programs(TypedDict):
    """What BPF is loaded in a kernel: programs by run time, then memory; `notes` say what was not seen."""

    schema: Literal["ebpf-recipe/programs/v1"]
    taken_at: str
    host: ProgramsHost
    statistics: Statistics
    programs: list[Program]
    maps: list[Map]
    totals: Totals
    notes: list[str]


MAP_SCHEMA: Literal["ebpf-recipe/map/v1"] = "ebpf-recipe/map/v1"


class OfProcessor(TypedDict):
    """What one processor has of an entry."""

    cpu: int
    bytes: str
    value: Any


class Entry(TypedDict):
    """An entry of a map: its bytes in hexadecimal, and what they mean.

    Without types, what has 1, 2, 4 or 8 bytes is an unsigned integer, and all else is null. `values` has one
    for each processor, where a map does; `error` says why there is no value.
    """

    key_bytes: str
    key: Any
    value_bytes: str | None
    value: Any
    values: list[OfProcessor] | None
    error: Text | None


class MapDump(TypedDict):
    """The entries of a map as they were read, one after the other, while programs went on.

    `typed` tells that they are decoded by the types that its program was compiled with. `cut` says what is
    left out.
    """

    schema: Literal["ebpf-recipe/map/v1"]
    id: int
    type: str
    name: Text
    max_entries: int
    typed: bool
    entries: list[Entry]
    cut: str | None


def map_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that every dump of version 1 satisfies."""
    from pydantic import TypeAdapter  # noqa: PLC0415  # not needed to make a document

    uri = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": uri, "$id": MAP_SCHEMA, **TypeAdapter(MapDump).json_schema()}


def programs_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that every document of version 1 satisfies."""
    from pydantic import TypeAdapter  # noqa: PLC0415  # not needed to make a document

    uri = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": uri, "$id": SCHEMA, **TypeAdapter(Programs).json_schema()}
