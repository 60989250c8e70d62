"""Chunks of bytes as lines, whose work does not grow with the length of a line."""

from __future__ import annotations


class Lines:
    """Splits a stream at its newlines."""

    def __init__(self) -> None:
        """Begin at the beginning of the stream."""
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that this chunk ends, without their newlines."""
        lines = chunk.split(b"\n")
        last = lines.pop()
        if lines and self._pieces:
            self._pieces.append(lines[0])
            lines[0] = b"".join(self._pieces)
            self._pieces = []
        if last:
            self._pieces.append(last)
        return lines

    def block(self, chunk: bytes) -> bytes:
        """Return the same lines as one piece, each with its newline."""
        end = chunk.rfind(b"\n") + 1
        if not end:
            if chunk:
                self._pieces.append(chunk)
            return b""
        block = b"".join([*self._pieces, chunk[:end]])
        self._pieces = [chunk[end:]] if end < len(chunk) else []
        return block

    def rest(self) -> bytes:
        """Return what stands behind the last newline."""
        rest = b"".join(self._pieces)
        self._pieces = []
        return rest
