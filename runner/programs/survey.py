"""All of it, joined: programs, maps, where they are attached, who holds them, what is ours, what it costs."""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import HostRefused
from runner.host import bpf
from runner.host.bpf_holders import read_holders
from runner.host.bpf_objects import list_links, list_maps, list_programs
from runner.host.processes import own_pid_in_kernel
from runner.programs.attachments import find_attachments, times
from runner.programs.document import SCHEMA
from runner.programs.owners import run_of
from runner.programs.texts import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Literal

    from runner.host.bpf_holders import Holders
    from runner.host.bpf_objects import KernelLink, KernelMap, KernelProgram
    from runner.host.bpftool import Bpftool
    from runner.programs.attachments import Attachment
    from runner.programs.document import Counted, Holder, Map, Program, Programs, Run, Total

    Through = Literal["program", "map", "link", "event", "bpftool"]

_ALWAYS_COUNTED = Path("/proc/sys/kernel/bpf_stats_enabled")


def survey(tool: Bpftool, *, measure_seconds: float | None = None, proc: Path = Path("/proc")) -> Programs:
    """Return what is loaded in this kernel.

    :param measure_seconds: Have the kernel count run times for so long; it slows every program of the host.
    :raises HostRefused: bpftool cannot say, or run times cannot be counted.
    """
    notes: list[str] = []
    measured: dict[int, Counted] = {}
    if measure_seconds is None:
        programs, seconds = list_programs(tool), None
    else:
        programs, measured, seconds = _measured(tool, measure_seconds)
    maps, links = list_maps(tool), _links(tool, notes)
    attachments = find_attachments(tool, links, notes)
    holders = read_holders(proc)
    if holders.hidden:
        notes.append(f"{holders.hidden} processes could not be looked at: what they hold is not known")
    if own_pid_in_kernel() is None:
        notes.append("inside a process namespace: processes outside it, which may hold more, cannot be seen")
    held = _Held(proc, holders, links)
    is_counted = _always_counted() or seconds is not None
    rows = [
        _program(each, held, attachments.get(each.identity, []), measured, is_counted=bool(is_counted))
        for each in programs
    ]
    users: dict[int, list[Program]] = {}
    for row in rows:
        for identity in set(row["maps"]):
            users.setdefault(identity, []).append(row)
    map_rows = [_map(each, users.get(each.identity, []), held) for each in maps]
    _add_map_bytes(rows, map_rows)
    rows.sort(key=_order)
    system = os.uname()
    return {
        "schema": SCHEMA,
        "taken_at": _time(time.time()),
        "host": {
            "hostname": socket.gethostname(),
            "kernel": system.release,
            "arch": system.machine,
            "bpftool": str(tool),
        },
        "statistics": {"enabled": _always_counted(), "measured_seconds": seconds},
        "programs": rows,
        "maps": map_rows,
        "totals": {
            "all": _total(rows, map_rows, seconds),
            "ours": _total(
                [row for row in rows if row["ours"]], [row for row in map_rows if row["ours"]], seconds
            ),
        },
        "notes": notes,
    }


def _measured(tool: Bpftool, wanted: float) -> tuple[list[KernelProgram], dict[int, Counted], float]:
    """Return the programs, what each ran while statistics were on, and for how long they were."""
    try:
        # A descriptor keeps them on: the kernel takes them off when we close it, or end however we may.
        with bpf.run_time_statistics():
            begun = time.monotonic()
            before = {each.identity: each for each in list_programs(tool, with_pins=False)}
            time.sleep(max(0.0, wanted - (time.monotonic() - begun)))
            programs = list_programs(tool)
            seconds = time.monotonic() - begun
    except OSError as error:
        raise HostRefused(
            f"--stats: the kernel does not count run times: {error.strerror}",
            hint="it needs root and Linux 5.8; before: sysctl kernel.bpf_stats_enabled=1",
        ) from error
    counted: dict[int, Counted] = {}
    for each in programs:
        old = before.get(each.identity)
        run_ns = (each.run_ns or 0) - ((old.run_ns or 0) if old else 0)
        runs = (each.runs or 0) - ((old.runs or 0) if old else 0)
        counted[each.identity] = {"run_ns": run_ns, "runs": runs, "cpu_ratio": _ratio(run_ns, seconds)}
    return programs, counted, round(seconds, 6)


def _ratio(run_ns: int, seconds: float) -> float:
    return round(run_ns / 1e9 / seconds, 9)


def _links(tool: Bpftool, notes: list[str]) -> list[KernelLink]:
    try:
        return list_links(tool)
    except HostRefused as error:
        notes.append(f"links are not known: {error.message}")
        return []


class _Held:
    """Who holds what, and which of them is a bpftrace of ours."""

    def __init__(self, proc: Path, holders: Holders, links: Sequence[KernelLink]) -> None:
        self._proc = proc
        self._holders = holders
        self._link_holders: dict[int, set[int]] = {}
        for link in links:
            self._link_holders.setdefault(link.program, set()).update(link.holders)
        self._runs: dict[int, Run | None] = {}
        self._names: dict[int, bytes] = {}

    def of_program(self, program: KernelProgram, attachments: Sequence[Attachment]) -> list[Holder]:
        through: dict[Through, Iterable[int]] = {
            "program": self._holders.programs.get(program.identity, ()),
            "link": self._holders.linked.get(program.identity, ()),
            "event": (each.pid for each in attachments if each.pid is not None),
            "bpftool": (*program.holders, *self._link_holders.get(program.identity, ())),
        }
        return self._listed(through)

    def of_map(self, one: KernelMap) -> list[Holder]:
        return self._listed({"map": self._holders.maps.get(one.identity, ()), "bpftool": one.holders})

    def run_of(self, holders: Sequence[Holder]) -> Run | None:
        """Return the run of ours that one of the holders is the bpftrace of."""
        for holder in holders:
            pid = holder["pid"]
            if pid not in self._runs:
                self._runs[pid] = run_of(pid, self._proc)
            if self._runs[pid] is not None:
                return self._runs[pid]
        return None

    def _listed(self, through: Mapping[Through, Iterable[int]]) -> list[Holder]:
        ways: dict[int, list[Through]] = {}
        for way, pids in through.items():
            for pid in set(pids):
                ways.setdefault(pid, []).append(way)
        found: list[Holder] = []
        for pid, how in sorted(ways.items()):
            seen: list[Through] = [way for way in how if way != "bpftool"]
            found.append({"pid": pid, "name": text_of(self._name(pid)), "through": seen or how})
        return found

    def _name(self, pid: int) -> str:
        if pid not in self._names:
            try:
                self._names[pid] = (self._proc / str(pid) / "comm").read_bytes().removesuffix(b"\n")
            except OSError:
                self._names[pid] = b""
        return self._names[pid].decode(errors="surrogateescape")


def _program(
    program: KernelProgram,
    held: _Held,
    attachments: Sequence[Attachment],
    measured: Mapping[int, Counted],
    *,
    is_counted: bool,
) -> Program:
    # bpftool leaves out what is zero.
    uncounted = 0 if is_counted else None
    holders = held.of_program(program, attachments)
    run = held.run_of(holders)
    return {
        "id": program.identity,
        "type": program.type,
        "name": text_of(program.name),
        "tag": program.tag,
        "loaded_at": _time(program.loaded_at) if program.loaded_at is not None else None,
        "uid": program.uid,
        "translated_bytes": program.translated_bytes,
        "native_bytes": program.native_bytes,
        "memory_bytes": program.locked_bytes,
        "run_ns": program.run_ns if program.run_ns is not None else uncounted,
        "runs": program.runs if program.runs is not None else uncounted,
        "misses": program.misses if program.misses is not None else uncounted,
        "measured": measured.get(program.identity),
        "attached": [
            {
                "kind": each.kind,
                "target": text_of(each.target) if each.target is not None else None,
                "link": each.link,
                "namespace": each.namespace,
                "times": count,
                "pins": [text_of(pin) for pin in each.pins],
            }
            for each, count in times(attachments)
        ],
        "pins": [text_of(pin) for pin in program.pins],
        "maps": list(program.maps),
        "map_bytes": 0,
        "held_by": holders,
        "ours": run is not None,
        "run": run,
    }


def _map(one: KernelMap, users: Sequence[Program], held: _Held) -> Map:
    holders = held.of_map(one)
    return {
        "id": one.identity,
        "type": one.type,
        "name": text_of(one.name),
        "key_bytes": one.key_bytes,
        "value_bytes": one.value_bytes,
        "max_entries": one.max_entries,
        "memory_bytes": one.locked_bytes,
        "pins": [text_of(pin) for pin in one.pins],
        "programs": [program["id"] for program in users],
        "held_by": holders,
        "ours": any(program["ours"] for program in users) or held.run_of(holders) is not None,
    }


def _add_map_bytes(programs: Sequence[Program], maps: Sequence[Map]) -> None:
    sizes = {each["id"]: each["memory_bytes"] for each in maps}
    for program in programs:
        program["map_bytes"] = sum(sizes.get(identity, 0) for identity in set(program["maps"]))


def _order(program: Program) -> tuple[int, int, int]:
    """Return what programs are sorted by: run time, then memory, then age."""
    counted = program["measured"]["run_ns"] if program["measured"] is not None else program["run_ns"] or 0
    return -counted, -(program["memory_bytes"] + program["map_bytes"]), program["id"]


def _total(programs: Sequence[Program], maps: Sequence[Map], seconds: float | None) -> Total:
    counted = [each for each in programs if each["run_ns"] is not None]
    run_ns = sum(each["measured"]["run_ns"] for each in programs if each["measured"] is not None)
    runs = sum(each["measured"]["runs"] for each in programs if each["measured"] is not None)
    return {
        "programs": len(programs),
        "run_ns": sum(each["run_ns"] or 0 for each in counted) if counted else None,
        "runs": sum(each["runs"] or 0 for each in counted) if counted else None,
        "measured": {"run_ns": run_ns, "runs": runs, "cpu_ratio": _ratio(run_ns, seconds)}
        if seconds is not None
        else None,
        "memory_bytes": sum(each["memory_bytes"] for each in programs),
        "maps": len(maps),
        "map_bytes": sum(each["memory_bytes"] for each in maps),
    }


def _always_counted() -> bool | None:
    try:
        return _ALWAYS_COUNTED.read_text().strip() != "0"
    except OSError:
        return None


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
