"""Independent runs: the captures of one start of bpftrace and of the load, put together by their run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from runner.capture.evidence import events_in
from runner.capture.measure import seconds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from runner.capture.document import Capture, Table


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One run of a side.

    :param windows: Its captures, in order, where it was cut into windows.
    :param whole: The capture of all of it, where there is one.
    """

    run_id: str
    files: tuple[str, ...]
    windows: tuple[Capture, ...]
    whole: Capture | None

    @property
    def captures(self) -> tuple[Capture, ...]:
        """Return all that was recorded of it, once: its windows, or the one capture of it."""
        return self.windows or (() if self.whole is None else (self.whole,))

    @property
    def first(self) -> Capture:
        """Return the capture that says what was run, and where."""
        return self.whole or self.windows[0]

    @property
    def all_captures(self) -> tuple[Capture, ...]:
        """Return its captures, the one of all of it among them."""
        return self.windows if self.whole is None else (*self.windows, self.whole)

    @property
    def all_tables(self) -> Iterator[Table]:
        """Return the tables of all its captures."""
        return (table for capture in self.all_captures for table in capture["tables"])

    def captures_with(self, table: str) -> tuple[Capture, ...]:
        """Return the captures that have a table: windows leave out some, which the whole run has."""
        if self.windows and all(_table(each, table) is not None for each in self.windows):
            return self.windows
        if self.whole is not None and _table(self.whole, table) is not None:
            return (self.whole,)
        return ()

    def tables(self, name: str) -> list[Table]:
        """Return what it recorded of a table: one of each window, or one."""
        found = (_table(capture, name) for capture in self.captures_with(name))
        return [table for table in found if table is not None]

    @property
    def began(self) -> datetime | None:
        """Return when it was attached."""
        return moment(self.captures[0]["window"]["attached_at"] or self.captures[0]["window"]["started_at"])

    @property
    def ended(self) -> datetime | None:
        """Return when it ended."""
        return moment(self.captures[-1]["window"]["ended_at"])

    @property
    def seconds(self) -> float | None:
        """Return how long it was measured; None where that is not known."""
        parts = [capture["window"]["duration_seconds"] for capture in self.captures]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None

    def lasted(self, table: str) -> float | None:
        """Return how long a table counted, in seconds: in windows each has a time of its own."""
        whole = 0.0
        for capture in self.captures_with(table):
            found = _table(capture, table)
            seconds = seconds_of(capture, found) if found is not None else None
            if seconds is None:
                return None
            whole += float(seconds)
        return whole or None

    def events_per_second(self, table: str) -> float | None:
        """Return how many events a table counted per second; None where it is not known how long it did."""
        seconds = self.lasted(table)
        return None if seconds is None else sum(map(events_in, self.tables(table))) / seconds

    @property
    def work(self) -> tuple[int, str | None] | None:
        """Return how many units of work its command did, and their name; None where it did not say."""
        for capture in self.all_captures:
            workload = capture["window"].get("workload")
            if workload is not None and "work" in workload:
                return workload["work"]["count"], workload["work"]["unit"]
        return None


def runs_of(captures: Iterable[tuple[str, Capture]]) -> list[RecordedRun]:
    """Return the runs that captures are of, in the order of their beginning.

    :param captures: Each with the file that it stands in; none twice.
    """
    found: dict[str, list[tuple[str, Capture]]] = {}
    for file, capture in captures:
        found.setdefault(capture["run_id"], []).append((file, capture))
    runs = []
    for run_id, members in found.items():
        windows = [capture for _, capture in members if "index" in capture["window"]]
        windows.sort(key=lambda capture: capture["window"]["index"])
        whole = next((capture for _, capture in members if "index" not in capture["window"]), None)
        files = dict.fromkeys(file for file, _ in members)
        runs.append(RecordedRun(run_id, tuple(files), tuple(windows), whole))
    return sorted(runs, key=_order)


def _order(run: RecordedRun) -> tuple[bool, float, str]:
    began = run.began
    return began is None, began.timestamp() if began is not None else 0.0, run.run_id


def in_order(runs: Sequence[RecordedRun]) -> bool:
    """Whether it is known of all runs when they began."""
    return all(run.began is not None for run in runs)


def _table(capture: Capture, name: str) -> Table | None:
    return next((table for table in capture["tables"] if table["name"] == name), None)


def moment(text: str | None) -> datetime | None:
    """Return a time as captures have it; None where it is none, or in no zone."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
