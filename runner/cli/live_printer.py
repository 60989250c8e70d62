"""Prints windows and events of a run as they come, and at its end what is to be said of all of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from runner.cli.output import print_text
from runner.cli.several import Array

if TYPE_CHECKING:
    from runner.capture.document import Capture, Event
    from runner.cli.output import Destination
    from runner.cli.several import Several
    from runner.plan import Plan
    from runner.report.events import EventColumns


class LivePrinter:
    """Tables and lines of JSON go out at once; as a JSON array or into a file, all of them at the end."""

    def __init__(
        self,
        form: str,
        destination: Destination,
        plan: Plan,
        several: Several | None = None,
        *,
        has_windows: bool,
    ) -> None:
        """Print nothing yet.

        :param form: `auto`, `table`, `json` or `jsonl`.
        :param several: Takes what is printed as JSON, where that is more than the windows of this run, or in
            a directory.
        :param has_windows: The run is cut into windows.
        """
        self._on_terminal = destination.path is None and sys.stdout.isatty()
        self._is_table = form == "table" or (form == "auto" and self._on_terminal)
        self._is_line = form == "jsonl"
        self._destination = destination
        self._plan = plan
        self._has_windows = has_windows
        self._run_id: str | None = None
        self.count = 0
        """How many windows there were."""
        self._windows: list[Capture] = []
        self._events: list[Event] = []
        self._columns: EventColumns | None = None
        self._is_headed = False
        # A table into a file of JSON: the file is JSON, and the table is on stdout.
        path = destination.path
        is_json = several is not None or (path is not None and path.suffix == ".json")
        self._is_both = self._is_table and is_json
        self._several = several
        self._is_kept = path is not None or several is not None or not (self._is_table or self._is_line)

    @property
    def prints_events(self) -> bool:
        """Whether events are to be handed to it as they come, and not at the end."""
        has_events = bool(self._plan.loaded.recipe.events)
        return has_events and (self._has_windows or not self._is_kept)

    def event(self, event: Event) -> None:
        """Take an event that has just come."""
        if self._is_both:
            print_text(self._row(event))
        if self._is_kept:
            self._events.append(event)
        elif self._is_line:
            from runner.report.events import event_line

            self._destination.write_pieces([event_line(event, self._plan.loaded.recipe.id)])
        else:
            self._destination.write_pieces([self._row(event).encode()])

    def window(self, capture: Capture) -> None:
        """Take a window that is over."""
        self.count += 1
        capture["events"], self._events = self._events, []
        self._run_id = capture["run_id"]
        self._is_headed = False
        if self._is_both:
            print_text(self._shown(capture).decode())
        if self._is_kept:
            self._windows.append(capture)
            return
        self._destination.write_pieces([self._shown(capture)])

    def end(self, whole: Capture) -> None:
        """Print what is left: windows that were kept, and the run as a whole.

        :param whole: The capture of the run, from its beginning to its end.
        """
        from runner.report.terminal import format_ending

        if not self._has_windows:
            self._destination.write_pieces([b"\n" if self._is_headed else b"", self._shown(whole)])
            return
        # It is of the same run as its windows: who adds them up has to know.
        whole["run_id"] = self._run_id or whole["run_id"]
        for window in self._windows:
            window["quality"] = whole["quality"]
            if "workload" in whole["window"]:
                window["window"]["workload"] = whole["window"]["workload"]
            if "gates" in whole:
                window["gates"] = whole["gates"]
        if self._is_both:
            self._write_windows()
            print_text(format_ending(whole, in_color=self._on_terminal))
        elif self._is_line:
            self._destination.write_pieces([*map(self._shown, self._windows), self._shown(whole)])
        elif self._is_table:
            ending = format_ending(whole, in_color=self._on_terminal).encode()
            self._destination.write_pieces([*map(self._shown, self._windows), ending])
        else:
            self._write_windows()

    def _write_windows(self) -> None:
        if self._several is not None:
            self._several.take(self._windows)
            return
        array = Array(self._destination)
        array.take(self._windows)
        array.close()

    def _row(self, event: Event) -> str:
        from runner.report.events import EventColumns

        if self._columns is None:
            self._columns = EventColumns(each.declaration() for each in self._plan.loaded.recipe.events)
        head = "" if self._is_headed else self._columns.head()
        self._is_headed = True
        return head + self._columns.row(event)

    def _shown(self, capture: Capture) -> bytes:
        from runner.capture.stream import encode_line
        from runner.report.terminal import format_capture

        if self._is_line:
            return encode_line(capture)
        return format_capture(capture, in_color=self._on_terminal).encode()
