"""Everything that one run of a recipe's program printed, sorted: nothing is dropped, nothing typed yet."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner.bpftrace.exact_keys import exact
from runner.bpftrace.json_output import JsonReader, error_of, read_message, whole
from runner.errors import NotUnderstood

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.bpftrace.dialect import Dialect
    from runner.bpftrace.evidence import Evidence
    from runner.bpftrace.output import ErrorMessage, PrintedMap

_ROW_PARTS = 3


@dataclass(slots=True)
class Messages:
    """A listener that keeps what a recipe's tables are made from.

    :param maps: The last printing of each map, by name.
    :param rows: Rows that the program printed one by one, by map: key and value.
    :param others: What is no map (printf, time, …), in order: bpftrace's word for it, and data.
    :param lost_events: How many things to print bpftrace says that it lost.
    :param errors: How often each error was reported.
    :param text_lines: Lines that are not bpftrace's: what others wrote to the same stream.
    :param repaired: How many values were printed damaged, and restored.
    :param is_cut: The output ends in the middle of a line.
    """

    maps: dict[str, PrintedMap] = field(default_factory=dict)
    rows: dict[str, list[tuple[Any, Any]]] = field(default_factory=dict)
    others: list[tuple[str, Any]] = field(default_factory=list)
    lost_events: int = 0
    errors: Counter[ErrorMessage] = field(default_factory=Counter)
    text_lines: list[bytes] = field(default_factory=list)
    repaired: int = 0
    is_cut: bool = False

    def printed(self, name: str, printed: PrintedMap) -> None:
        """Keep the map; what it printed before is superseded."""
        self.maps[name] = printed

    def said(self, kind: str, data: Any) -> None:
        """Keep what a statement printed; a row of ours belongs to its map."""
        if kind == "value" and isinstance(data, list) and len(data) == _ROW_PARTS:
            name, key, value = data
            if isinstance(name, str) and name.startswith("@"):
                made = whole(key)
                self.repaired += made != key
                self.rows.setdefault(name, []).append((made, value))
                return
        self.others.append((kind, data))

    def lost(self, events: int) -> None:
        """Add to what was lost."""
        self.lost_events += events

    def failed(self, error: ErrorMessage, times: int) -> None:
        """Count an error."""
        self.errors[error] += times

    def strayed(self, line: bytes) -> None:
        """Keep a line of somebody else's."""
        self.text_lines.append(line)

    def unreadable(self, line: bytes, position: int, why: str) -> None:
        """Refuse the output: a table of the recipe may be in that line.

        :raises NotUnderstood: Always.
        """
        raise NotUnderstood(
            f"bpftrace printed what is not to be understood at byte {position} ({why}): {line[:120]!r}"
        )

    def cut(self, line: bytes, position: int) -> None:
        """Leave out what a killed bpftrace had no time to finish."""
        del line, position
        self.is_cut = True

    def settle(self, dialect: Dialect) -> None:
        """Undo what JSON did to keys, now that the release is known.

        :raises NotUnderstood: A map was printed in a shape that the release does not print.
        """
        for name, printed in self.maps.items():
            self.maps[name], repaired = exact(printed, dialect)
            self.repaired += repaired


def read_messages(stdout: bytes, evidence: Evidence, errors: Mapping[bytes, int] | None = None) -> Messages:
    """Sort all of the JSON that bpftrace printed.

    :param errors: Lines of errors that were taken out of the output, with how often each came.
    :raises NotUnderstood: A whole line begins as a message and is none.
    """
    messages = Messages()
    for line, times in (errors or {}).items():
        message = read_message(line)
        if message is not None:
            messages.failed(error_of(message), times)
    reader = JsonReader(messages, evidence)
    reader.feed(stdout)
    reader.close()
    messages.repaired += reader.repaired
    messages.settle(evidence.dialect)
    return messages
