"""What a load itself says of each thing that it did, in memory that it shares with whoever runs it: no system call."""

from __future__ import annotations

import mmap
import os
import struct
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_COUNT = struct.Struct("@Q")
_ENTRY = struct.Struct("@QQ")
_ROOM = 1 << 21
"""Entries: half an hour of a thousand a second. Pages that were not written to take no memory."""


class Journal:
    """How long each operation took, by its kind; written by one process, read by another.

    :ivar descriptor: Of the memory; a load that inherits it opens the same journal.
    """

    def __init__(self, kinds: Sequence[str], descriptor: int | None = None) -> None:
        """Make a journal, or open the one that was inherited.

        :param kinds: The same on both sides, in the same order.
        """
        self._kinds = list(kinds)
        size = _COUNT.size + _ROOM * _ENTRY.size
        if descriptor is None:
            descriptor = os.memfd_create("journal", 0)
            os.ftruncate(descriptor, size)
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, size)
        self._lock = threading.Lock()

    def write(self, kind: str, begun_ns: int) -> None:
        """Note an operation that ends now; any thread may.

        :param begun_ns: When it began, by CLOCK_MONOTONIC.
        """
        taken = time.monotonic_ns() - begun_ns
        with self._lock:
            (count,) = _COUNT.unpack_from(self._memory)
            _ENTRY.pack_into(self._memory, _COUNT.size + count * _ENTRY.size, self._kinds.index(kind), taken)
            # After the entry: who reads the count finds the entry whole.
            _COUNT.pack_into(self._memory, 0, count + 1)

    def read(self) -> dict[str, list[int]]:
        """Return how long each operation took so far, in nanoseconds, in their order, by kind."""
        found: dict[str, list[int]] = {kind: [] for kind in self._kinds}
        (count,) = _COUNT.unpack_from(self._memory)
        for place in range(count):
            kind, taken = _ENTRY.unpack_from(self._memory, _COUNT.size + place * _ENTRY.size)
            found[self._kinds[kind]].append(taken)
        return found

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()
        os.close(self.descriptor)
