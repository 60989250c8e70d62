"""What the runner adds around a program: a sign that it is attached, a mark that its output is whole."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.bpftrace.dialect import Dialect
    from runner.capture.declaration import TableDeclaration

END_MAP = "@zzzz_end"
"""bpftrace prints its maps in the order of their names: this one last, so what precedes it is whole."""

ROW_MARK = "ebpf-recipe-row"
"""In text, the line before each row that the program prints."""

ROWS_END = "ebpf-recipe-rows-end"
"""And the line behind the last one."""

LIMIT_MAP = "@zzz_limit"
"""Printed only where bpftrace ended itself at the limit that the runner set it."""

PROGRESS_MILLISECONDS = 500

SNAPSHOT = "ebpf-recipe/snapshot"
"""The line before the maps of a snapshot, and TAKEN the one behind them."""

TAKEN = "ebpf-recipe/taken"


@dataclass(frozen=True, slots=True)
class FramedProgram:
    """A program as bpftrace is given it.

    :param token: What BEGIN prints. bpftrace drains its output only after all probes are attached:
        the moment that the token is read is the moment from which everything is counted.
    :param end_value: The value of the map that is printed last.
    """

    text: str
    token: str
    end_value: int


def frame_program(
    text: str,
    *,
    head: str = "",
    runner: int | None = None,
    scratch_maps: Iterable[str] = (),
    row_maps: Iterable[str] = (),
    progress_map: str | None = None,
    snapshot: Snapshot | None = None,
    limit_seconds: int | None = None,
) -> FramedProgram:
    """Put the runner's own probes around a program.

    :param head: What bpftrace wants to stand before everything else.
    :param runner: The process with whose end bpftrace ends too, by its id as the kernel sees it.
    :param scratch_maps: Maps to clear before the maps are printed.
    :param row_maps: Maps whose rows are printed one by one too, for their keys are not printed exactly.
    :param progress_map: A map without keys to print twice a second.
    :param snapshot: What to print again and again.
    :param limit_seconds: After so long bpftrace ends itself, should the runner have been stopped.
    """
    token = f"ebpf-recipe-ready-{secrets.token_hex(8)}"
    end_value = secrets.randbits(31) | 1
    # In front of the program's first line, not on one of its own: bpftrace's line numbers are the program's.
    parts = [head, f'BEGIN {{ {END_MAP} = {end_value}; printf("{token}\\n"); }} ', text]
    if progress_map is not None:
        parts.append(f"\ninterval:ms:{PROGRESS_MILLISECONDS} {{ print({progress_map}); }}\n")
    if snapshot is not None:
        parts.append(_snapshot_probe(snapshot, row_maps))
    parts.append(
        closing_probes(
            runner=runner, limit_seconds=limit_seconds, row_maps=row_maps, scratch_maps=scratch_maps
        )
    )
    return FramedProgram("".join(parts), token, end_value)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Which maps are printed again and again, and how often. They are not cleared: a clear loses events."""

    milliseconds: int
    maps: tuple[str, ...]


def _snapshot_probe(snapshot: Snapshot, row_maps: Iterable[str]) -> str:
    rows = closing_statements([name for name in row_maps if name in snapshot.maps], ())
    maps = " ".join(f"print({name});" for name in snapshot.maps)
    return (
        f'\ninterval:ms:{snapshot.milliseconds} {{ printf("{SNAPSHOT}\\n"); {rows} {maps} '
        f'printf("{TAKEN}\\n"); }}\n'
    )


def closing_probes(
    *,
    runner: int | None,
    limit_seconds: int | None,
    row_maps: Iterable[str] = (),
    scratch_maps: Iterable[str] = (),
    is_text: bool = False,
) -> str:
    """Return the probes that end bpftrace where nobody else does, and what is to be done at the end."""
    parts = []
    if runner is not None:
        # A parent-death signal would do less: a setuid exec (sudo) clears it.
        parts.append(f"\ntracepoint:sched:sched_process_exit /tid == {runner}/ {{ exit(); }}\n")
    if limit_seconds is not None:
        parts.append(f"\ninterval:s:{limit_seconds} {{ {LIMIT_MAP} = 1; exit(); }}\n")
    last = closing_statements(row_maps, scratch_maps, is_text=is_text)
    if last:
        parts.append(f"\nEND {{ {last} }}\n")
    return "".join(parts)


def closing_statements(row_maps: Iterable[str], scratch_maps: Iterable[str], *, is_text: bool = False) -> str:
    """Return what is to be done before the maps are printed.

    :param is_text: bpftrace prints text, where a row may have several lines.
    """
    mark = f'printf("{ROW_MARK}\\n"); ' if is_text else ""
    rows = [f'for ($row : {name}) {{ {mark}print(("{name}", $row.0, $row.1)); }}' for name in row_maps]
    if rows and is_text:
        rows.append(f'printf("{ROWS_END}\\n");')
    return " ".join([*rows, *(f"clear({name});" for name in scratch_maps)])


def row_maps(declarations: Iterable[TableDeclaration], dialect: Dialect) -> list[str]:
    """Return the maps whose keys hold symbols that anybody may name, where printing a map damages them."""
    if not dialect.drops_spaces_of_keys:
        return []
    return [each.map for each in declarations if any(key.type == "user-stack" for key in each.keys)]
