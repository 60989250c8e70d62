"""The output of a script that nobody declared: every map, every message in its order, every doubt counted."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from runner.bpftrace.foreign_tables import Doubts, LoopedRows, foreign_table
from runner.bpftrace.frame import END_MAP, LIMIT_MAP, ROW_MARK, ROWS_END
from runner.bpftrace.json_output import whole
from runner.bpftrace.refusals import error_problems
from runner.bpftrace.said import message_of
from runner.capture.encode import encode_text
from runner.capture.quality import problem
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from runner.bpftrace.evidence import Evidence
    from runner.bpftrace.output import ErrorMessage, PrintedMap
    from runner.bpftrace.script import Script
    from runner.capture.document import Message, Problem, Table

_OWN_MAPS = (END_MAP, LIMIT_MAP)
_ROW_PARTS = 3
_STATEMENTS = frozenset(
    {"printf", "time", "cat", "join", "syscall", "value", "lost_events", "errorf", "warnf"}
    | {"benchmark_result", "benchmark_results", "test_result"}
)
"""bpftrace's words for what is no map."""

_MOST_UNREADABLE = 20
"""Unreadable lines that are kept as messages; of the others the number is."""

_LONGEST_KEPT = 4096


class ForeignOutput:
    """A listener that hands on messages as they come, and has the tables at the end.

    A map that is printed while the script runs is a message with its table as data. What bpftrace prints
    of itself at the end makes the tables of the capture; of a map that was not printed then, the last
    printing. What is kept does not grow with the number of messages.
    """

    def __init__(
        self,
        evidence: Evidence,
        on_message: Callable[[Message], None],
        script: Script | None = None,
        row_maps: Collection[str] = (),
    ) -> None:
        """Begin at the beginning of the output.

        :param on_message: Called with each message, in the order of the output.
        :param row_maps: Maps whose rows the program prints one by one at the end, for our sake.
        """
        self._evidence = evidence
        self._on_message = on_message
        self._script = script
        self._row_maps = row_maps
        self._looped: dict[str, list[tuple[Any, Any]]] = {}
        self._text_rows: dict[str, set[str]] = {}
        self._row_lines: list[str] | None = None
        # Maps that were printed one behind the other, by name, as at the end: they may be that.
        self._latest: dict[str, PrintedMap] = {}
        self._last: dict[str, PrintedMap] = {}
        self._doubts = Doubts()
        self._lost = 0
        self._errors: Counter[ErrorMessage] = Counter()
        self._unreadable = 0
        self._cut_bytes: int | None = None
        self.is_known = False
        """Something was seen that only bpftrace prints."""

    def printed(self, name: str, printed: PrintedMap) -> None:
        """Take a map; one that was printed before, or out of order, is not of the end."""
        self.is_known = True
        if self._latest and name <= next(reversed(self._latest)):
            self._hand_on()
        self._latest[name] = printed
        self._last[name] = printed

    def said(self, kind: str, data: Any) -> None:
        """Hand on a message."""
        if (
            kind == "value"
            and isinstance(data, list)
            and len(data) == _ROW_PARTS
            and data[0] in self._row_maps
        ):
            self._looped.setdefault(data[0], []).append((whole(data[1]), data[2]))
            return
        if kind == "text" and self._row_maps and self._took_row(data):
            return
        self.is_known = self.is_known or kind in _STATEMENTS
        if self._latest:
            self._hand_on()
        try:
            message = message_of(kind, data)
        except NotUnderstood as error:
            self.unreadable(_shown(data), -1, error.message)
            return
        self._on_message(message)

    def _took_row(self, line: str) -> bool:
        """Take a line of the rows that the program prints for our sake; return whether it is one."""
        is_mark, is_end = line == f"{ROW_MARK}\n", line == f"{ROWS_END}\n"
        if (is_mark or is_end) and self._row_lines is not None:
            row = "".join(self._row_lines).removesuffix("\n")
            self._text_rows.setdefault(row[1 : row.find(",")], set()).add(row)
        if is_mark or is_end:
            self._row_lines = [] if is_mark else None
            return True
        if self._row_lines is None:
            return False
        self._row_lines.append(line)
        return True

    def lost(self, events: int) -> None:
        """Add to what was lost."""
        self.is_known = True
        self._lost += events

    def failed(self, error: ErrorMessage, times: int) -> None:
        """Count an error."""
        self.is_known = True
        self._errors[error] += times

    def strayed(self, line: bytes) -> None:
        """Hand on a line of somebody else's."""
        if self._latest:
            self._hand_on()
        self._on_message({"type": "text", "text": encode_text(line)})

    def unreadable(self, line: bytes, position: int, why: str) -> None:
        """Hand on a line that nobody can read."""
        self._unreadable += 1
        if self._unreadable <= _MOST_UNREADABLE:
            self._on_message(
                {
                    "type": "unreadable",
                    "text": encode_text(line[:_LONGEST_KEPT]),
                    "data": {"position": position, "length": len(line), "why": why},
                }
            )

    def cut(self, line: bytes, position: int) -> None:
        """Hand on what there is of a last line."""
        self._cut_bytes = len(line)
        self.is_known = self.is_known or line.startswith(b'{"type": "')
        self._on_message(
            {"type": "cut", "text": encode_text(line[:_LONGEST_KEPT]), "data": {"position": position}}
        )

    def tables(self) -> list[Table]:
        """Return the tables, at the end."""
        # The doubts of what was handed on already are counted.
        return [
            table
            for name in sorted(self._last)
            if (
                table := self._table(
                    name, self._last[name], self._doubts if name in self._latest else Doubts()
                )
            )
        ]

    def problems(self, *, lost_in_all: int = 0, repaired: int = 0, doubtful: int = 0) -> Iterator[Problem]:
        """Say what is less than exact, once the tables are there.

        :param lost_in_all: What bpftrace says at its end of how much was lost.
        :param repaired: Numbers that the reader restored, and `doubtful` lines that it could not.
        """
        doubts = self._doubts
        lost = max(self._lost, lost_in_all)
        if lost:
            yield problem("lost-events", lost, "bpftrace had no room for what it had to print")
        yield from error_problems(self._errors)
        full = sum(times for error, times in self._errors.items() if error.is_full_map)
        if full:
            yield problem("map-full", full, f"a map is full: at least {full} updates were refused")
        if doubts.repaired + repaired:
            yield problem(
                "repaired", doubts.repaired + repaired, "what JSON prints damaged was restored exactly"
            )
        if doubts.spaces:
            yield problem("spaces-lost", doubts.spaces, f"keys of {doubts.spaces} rows may have had spaces")
        if doubts.parentheses:
            yield problem(
                "parentheses-lost", doubts.parentheses, f"{doubts.parentheses} keys may have had parentheses"
            )
        ambiguous = doubts.ambiguous + doubtful
        if ambiguous:
            yield problem(
                "rows-ambiguous",
                ambiguous,
                f"{ambiguous} rows can be read in more than one way (bpftrace {self._evidence})",
            )
        if self._unreadable:
            yield problem("lines-unreadable", self._unreadable, f"{self._unreadable} lines cannot be read")
        if self._cut_bytes is not None:
            yield problem("output-cut", self._cut_bytes, "the output ends in the middle of a line")
        if not self._evidence.is_proven:
            yield problem(
                "release-unproven", None, f"bpftrace {self._evidence}: its shapes are known from its source"
            )
        if self._evidence.is_contradictory:
            yield problem("release-unclear", None, "no release of bpftrace prints all of this")

    def _hand_on(self) -> None:
        """Hand on the maps that were printed and are not of the end."""
        latest, self._latest = self._latest, {}
        for name, printed in latest.items():
            table = self._table(name, printed, self._doubts)
            if table is not None:
                self._on_message({"type": printed.type, "text": name, "data": table})

    def _table(self, name: str, printed: PrintedMap, doubts: Doubts) -> Table | None:
        if name in _OWN_MAPS:
            return None
        use = self._script.maps.get(name) if self._script is not None else None
        looped: LoopedRows = LoopedRows()
        if printed is self._last.get(name):
            looped = LoopedRows(self._looped.get(name, ()), self._text_rows.get(name, frozenset()))
        try:
            return foreign_table(name, printed, self._evidence, use, doubts, looped)
        except NotUnderstood as error:
            self.unreadable(_shown(printed.value), -1, error.message)
            return None


def _shown(value: Any) -> bytes:
    try:
        return repr(value)[:_LONGEST_KEPT].encode(errors="replace")
    except RecursionError:
        return b"(nested too deep to be shown)"
