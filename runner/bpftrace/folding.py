"""Errors that bpftrace reports once for each event, taken out of its output and counted.

A full map makes bpftrace 0.23 and later print a message for every event that finds no room: a million
events, 150 MB. They would fill what is kept of the output and end the run.
"""

from __future__ import annotations

_PREFIXES = (b'{"type": "helper_error"', b'{"type": "runtime_error"')
_MOST_KINDS = 4096
"""Kinds of errors that are counted; a program has far fewer places where they can come from."""

_LONGEST = 4096
"""A line that is longer than this is no error's."""


class ErrorFold:
    """Takes error messages out of a stream of bytes."""

    def __init__(self) -> None:
        """Begin at the beginning of a line."""
        self.counts: dict[bytes, int] = {}
        self._held = b""
        self._is_within_line = False

    def feed(self, chunk: bytes) -> bytes:
        """Return the chunk without errors; what may become one is held back until it is known."""
        data = self._held + chunk
        self._held = b""
        head, newline, tail = data.rpartition(b"\n")
        is_tail_of_line = self._is_within_line and not newline
        if not is_tail_of_line and tail and _may_be_error(tail):
            self._held, tail = tail, b""
        kept = self._without_errors(head) + tail if newline else tail
        if newline or tail:
            self._is_within_line = bool(tail)
        return kept

    def rest(self) -> bytes:
        """Return what was held back, at the end of the stream."""
        held, self._held = self._held, b""
        return held

    def _without_errors(self, lines: bytes) -> bytes:
        """Return whole lines (the last newline is not among them) without errors, each with its newline."""
        if not any(prefix in lines for prefix in _PREFIXES):
            return lines + b"\n"
        kept = []
        for place, line in enumerate(lines.split(b"\n")):
            is_begun_before = place == 0 and self._is_within_line
            if is_begun_before or not line.startswith(_PREFIXES) or not self._count(line):
                kept.append(line + b"\n")
        return b"".join(kept)

    def _count(self, line: bytes) -> bool:
        if line not in self.counts and len(self.counts) >= _MOST_KINDS:
            return False
        self.counts[line] = self.counts.get(line, 0) + 1
        return True


def _may_be_error(beginning: bytes) -> bool:
    return len(beginning) < _LONGEST and any(
        beginning.startswith(prefix) or prefix.startswith(beginning) for prefix in _PREFIXES
    )
