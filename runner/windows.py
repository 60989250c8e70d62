"""Windows of a run: what came between two snapshots of its maps, which are never cleared meanwhile.

The last snapshot is what bpftrace prints at its end: so the windows have everything that the run has.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from runner.attribution import attribute
from runner.bpftrace.frame import SNAPSHOT, TAKEN
from runner.bpftrace.messages import read_messages
from runner.bpftrace.recording import Moment, rfc3339
from runner.bpftrace.tables import Context, decode_tables
from runner.capture.arithmetic import CUMULATIVE, subtract
from runner.capture.cutting import left_out, why_not_cut
from runner.capture.make import new_capture
from runner.errors import ValueRefused
from runner.host.block_devices import block_devices
from runner.outcome import described
from runner.wanted import is_wanted_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.bpftrace.messages import Messages
    from runner.bpftrace.session import Taken
    from runner.capture.document import Capture, LeftOut, Table, Window
    from runner.host.sockets import Holder
    from runner.plan import Plan

_BEGIN, _END = (f'{{"type": "printf", "data": "{mark}\\n"}}'.encode() for mark in (SNAPSHOT, TAKEN))
_MAP = re.compile(rb'\{"type": "(?:map|hist|stats)", "data": \{"(@\w*)": ')
_ROW = b'{"type": "value", "data": ["@'

_SET_CLOCK = timedelta(milliseconds=10)
"""A wall clock that is further from where it would be was set: NTP has both go faster or slower alike."""

_NOT_PRINTED = (
    "bpftrace did not print all of it; the next window with it counts from where it was read before"
)


@dataclass(slots=True)
class _Snapshot:
    """The lines of one snapshot, and when the map of each was read from bpftrace."""

    lines: list[bytes] = field(default_factory=list)
    read_at: dict[str, int] = field(default_factory=dict)


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
        last_border_ns: float | None = None,
    ) -> None:
        """Have taken nothing yet.

        :param room: How many keys each map has room for.
        :param on_window: Called with each window as soon as it is over.
        :param holders: Finds who holds the sockets that an output names without an owner.
        :param most: How many windows there are to be; the run ends with the last one.
        :param last_border_ns: So long after the begin no window ends any more but the last, with the run.
        """
        self._plan = plan
        self._on_window = on_window
        self._holders = holders
        self._most = most
        self._last_border_ns = last_border_ns
        declarations = [output.declaration() for output in plan.loaded.recipe.outputs]
        self._declarations = [each for each in declarations if why_not_cut(each) is None]
        self._left_out = tuple(left_out(declarations))
        self._is_over = False
        self._context = Context(plan.bpftrace.dialect, plan.names, room, is_one_moment=False)
        self._facts = plan.facts
        self._snapshot: _Snapshot | None = None
        self._before: dict[str, Table] = {}
        self._since: dict[str, int] = {}
        self._begun: int | None = None
        self._ended: int | None = None
        self._clock: Moment | None = None
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
            if self._is_over:
                # It came while the run ended: what bpftrace prints at its end has more.
                return "taken"
            if self.count + 1 == self._most:
                self._is_over = True
                return "last"
            if self._last_border_ns is None or read_at_ns - self._begun < self._last_border_ns:
                self._hand_on(snapshot, read_at_ns)
            return "taken"
        if self._is_over:
            # The rest of a snapshot may never come: then this is printed at the end, else that supersedes it.
            return "kept"
        found = _MAP.match(line)
        if found is None and not line.startswith(_ROW):
            return "kept"
        if found is not None:
            self._snapshot.read_at[found[1].decode()] = read_at_ns
        self._snapshot.lines.append(line)
        return "taken"

    def end_with_the_run(self) -> None:
        """Hand on no more windows but the last one: the run is over, and bpftrace prints its maps."""
        self._is_over = True

    def last(self, output: bytes, messages: Messages, ended_ns: int) -> None:
        """Hand on what came between the last border and the end of the run.

        :param output: What bpftrace printed at its end, whole, and `messages` what was read from it.
        """
        if self._begun is not None:
            self._window(output, messages, {}, ended_ns)

    def _hand_on(self, snapshot: _Snapshot, read_at_ns: int) -> None:
        output = b"".join(line + b"\n" for line in snapshot.lines)
        messages = read_messages(output, self._plan.bpftrace.evidence)
        self._window(output, messages, snapshot.read_at, read_at_ns)

    def _window(self, output: bytes, messages: Messages, read_at: Mapping[str, int], ended_ns: int) -> None:
        plan, begun = self._plan, self._begun
        assert begun is not None
        if plan.loaded.recipe.asks_for_devices():
            self._facts = self._facts.with_devices(block_devices())
        context = replace(
            self._context, names=replace(self._context.names, devices=self._facts.device_names())
        )
        tables, problems = decode_tables(self._declarations, messages, context)
        clock = self._follow_clock()
        windows: list[Table] = []
        without = list(self._left_out)
        for table in tables:
            until = read_at.get(table["map"], ended_ns)
            made = self._window_of(table, without)
            if made is None:
                continue
            made["since"] = rfc3339(clock.time_of(self._since.get(table["map"], begun)))
            made["until"] = rfc3339(clock.time_of(until))
            windows.append(made)
            self._since[table["map"]] = until
        shown = [each for each in self._declarations if any(each.name == table["name"] for table in windows)]
        attribute(shown, windows, self._holders(output), is_wanted_by(plan))
        began = begun if self._ended is None else self._ended
        window: Window = {
            "started_at": None,
            "attached_at": rfc3339(clock.time_of(began)),
            "ended_at": rfc3339(clock.time_of(ended_ns)),
            "duration_seconds": round((ended_ns - began) / 1e9, 6),
            "ended_by": None,
            "index": self.count,
        }
        if without:
            window["left_out"] = without
        self._ended = ended_ns
        capture = new_capture(
            **described(plan), window=window, problems=problems, tables=windows, messages=[]
        )
        self._run_id = capture["run_id"] = self._run_id or capture["id"]
        self.count += 1
        self._on_window(capture)

    def _window_of(self, table: Table, without: list[LeftOut]) -> Table | None:
        """Return what a table counted since it was read before; None where a part of it was not printed."""
        if table["kind"] not in CUMULATIVE:
            return {**table}
        before = self._before.get(table["name"])
        try:
            made = table if before is None else subtract(table, before)
        except ValueRefused:
            # Seen of bpftrace 0.17, which left out the line of a map.
            without.append({"table": table["name"], "reason": _NOT_PRINTED})
            return None
        self._before[table["name"]] = table
        # Naming owners changes rows in place, and this snapshot is needed as it was read for the next window.
        return copy.deepcopy(made)

    def _follow_clock(self) -> Moment:
        """Return what tells times: the same for all windows, or a border would have two, until it is set."""
        now = Moment.now()
        if self._clock is None or abs(now.wall - self._clock.time_of(now.clock_ns)) > _SET_CLOCK:
            self._clock = now
        return self._clock
