"""Windows of a run: what came between two snapshots of its maps, which are never cleared meanwhile."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from runner.attribution import attribute
from runner.bpftrace.frame import SNAPSHOT, TAKEN
from runner.bpftrace.messages import read_messages
from runner.bpftrace.recording import Moment, rfc3339
from runner.bpftrace.tables import Context, decode_tables
from runner.capture.arithmetic import CUMULATIVE, subtract
from runner.capture.make import new_capture
from runner.host.block_devices import block_devices
from runner.outcome import described, is_wanted_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from runner.bpftrace.session import Taken
    from runner.capture.declaration import TableDeclaration
    from runner.capture.document import Capture, Table, Window
    from runner.host.sockets import Holder
    from runner.plan import Plan

_BEGIN, _END = (f'{{"type": "printf", "data": "{mark}\\n"}}'.encode() for mark in (SNAPSHOT, TAKEN))
_MAP = re.compile(rb'\{"type": "(?:map|hist|stats)", "data": \{"(@\w*)": ')
_ROW = b'{"type": "value", "data": ["@'


@dataclass(slots=True)
class _Snapshot:
    """The lines of one snapshot, and when the map of each was read from bpftrace."""

    lines: list[bytes] = field(default_factory=list)
    read_at: dict[str, int] = field(default_factory=dict)


def has_windows(declaration: TableDeclaration) -> bool:
    """Whether a table's windows can be told: not where symbols of processes are keys.

    They are looked up anew for each snapshot, and a process that ended meanwhile has none any more.
    """
    return not any(key.type == "user-stack" for key in declaration.keys)


class WindowReader:
    """Takes snapshots out of what a run prints, and hands on the window between each and the one before.

    bpftrace prints one map after the other: they are not of one moment. So the window of each table is its
    own, from when its map was read last to when it is read now, and every row of it says what came between.
    """

    def __init__(
        self,
        plan: Plan,
        room: int,
        *,
        on_window: Callable[[Capture], None],
        holders: Callable[[bytes], Mapping[int, tuple[Holder, ...]]],
        most: int | None = None,
    ) -> None:
        """Have taken nothing yet.

        :param room: How many keys each map has room for.
        :param on_window: Called with each window as soon as it is over.
        :param holders: Finds who holds the sockets that an output names without an owner.
        :param most: How many windows there are to be; the run ends with the last one.
        """
        self._plan = plan
        self._on_window = on_window
        self._holders = holders
        self._most = most
        declarations = [output.declaration() for output in plan.loaded.recipe.outputs]
        self._declarations = [each for each in declarations if has_windows(each)]
        self._context = Context(plan.bpftrace.dialect, plan.names, room, is_one_moment=False)
        self._facts = plan.facts
        self._snapshot: _Snapshot | None = None
        self._before: dict[str, Table] = {}
        self._since: dict[str, int] = {}
        self._begun: int | None = None
        self._ended: int | None = None
        self._run_id: str | None = None
        self.count = 0

    def take(self, line: bytes, read_at_ns: int) -> Taken:
        """Take a line of a snapshot."""
        if self._begun is None:
            # The first line says that the probes are attached.
            self._begun = read_at_ns
            return "kept"
        if line == _BEGIN:
            self._snapshot = _Snapshot()
            return "taken"
        if self._snapshot is None:
            return "kept"
        if line == _END:
            snapshot, self._snapshot = self._snapshot, None
            # One that comes while the run ends is one too many.
            if self.count != self._most:
                self._hand_on(snapshot, read_at_ns)
            return "last" if self.count == self._most else "taken"
        found = _MAP.match(line)
        if found is None and not line.startswith(_ROW):
            return "kept"
        if found is not None:
            self._snapshot.read_at[found[1].decode()] = read_at_ns
        self._snapshot.lines.append(line)
        return "taken"

    def _hand_on(self, snapshot: _Snapshot, read_at_ns: int) -> None:
        plan, begun = self._plan, self._begun
        assert begun is not None
        output = b"".join(line + b"\n" for line in snapshot.lines)
        messages = read_messages(output, plan.bpftrace.evidence)
        if plan.loaded.recipe.asks_for_devices():
            self._facts = self._facts.with_devices(block_devices())
        context = replace(
            self._context, names=replace(self._context.names, devices=self._facts.device_names())
        )
        tables, problems = decode_tables(self._declarations, messages, context)
        now = Moment.now()
        windows: list[Table] = []
        for table in tables:
            until = snapshot.read_at.get(table["map"], read_at_ns)
            made = self._window_of(table)
            if made is not None:
                made["since"] = self._time(self._since.get(table["map"], begun), now)
                made["until"] = self._time(until, now)
                windows.append(made)
            self._since[table["map"]] = until
        shown = [each for each in self._declarations if any(each.name == table["name"] for table in windows)]
        attribute(shown, windows, self._holders(output), is_wanted_by(plan))
        began = begun if self._ended is None else self._ended
        window: Window = {
            "started_at": None,
            "attached_at": self._time(began, now),
            "ended_at": self._time(read_at_ns, now),
            "duration_seconds": round((read_at_ns - began) / 1e9, 6),
            "ended_by": None,
            "index": self.count,
        }
        self._ended = read_at_ns
        capture = new_capture(
            **described(plan), window=window, problems=problems, tables=windows, messages=[]
        )
        self._run_id = capture["run_id"] = self._run_id or capture["id"]
        self.count += 1
        self._on_window(capture)

    def _window_of(self, table: Table) -> Table | None:
        """Return what a table counted since the snapshot before; None of kinds that no two snapshots tell."""
        if table["kind"] not in CUMULATIVE:
            return {**table} if table["kind"] == "value" else None
        before = self._before.get(table["name"])
        self._before[table["name"]] = table
        # Naming owners changes rows in place, and this snapshot is needed as it was read for the next window.
        return copy.deepcopy(table if before is None else subtract(table, before))

    @staticmethod
    def _time(reading_ns: int, now: Moment) -> str:
        moment: datetime = now.time_of(reading_ns)
        return rfc3339(moment)
