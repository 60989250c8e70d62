"""One fact, and the reading of the files that facts come from."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from runner.capture.declaration import Unit

_LARGEST = (1 << 64) - 1
"""No counter of the kernel is greater; a file that says more is damaged."""

_DIGITS = {10: frozenset(string.digits), 16: frozenset(string.hexdigits)}


@dataclass(frozen=True, slots=True)
class Fact:
    """What one source said at one moment.

    :param source: The file or command that said it.
    :param cgroup: The control group that it is of, as /proc/PID/cgroup names it.
    :param pid: A process in whose network namespace it was read; None in the runner's.
    :param cpu: The processor that it is of; None for a sum of all.
    """

    name: str
    source: str
    unit: Unit
    value: int
    cgroup: bytes | None = None
    pid: int | None = None
    cpu: int | None = None

    @property
    def identity(self) -> tuple[str, bytes | None, int | None, int | None]:
        """Return what two readings of one fact share."""
        return self.name, self.cgroup, self.pid, self.cpu


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file; none where it is not there, not ours to read, or disabled."""
    try:
        return path.read_bytes().decode(errors="replace").splitlines()
    except (OSError, ValueError):
        return []


def whole_number(text: str, base: int = 10) -> int | None:
    """Return a number of up to 64 bits without sign; None for any other text."""
    if not text or len(text) > 20 or not _DIGITS[base].issuperset(text):
        return None
    number = int(text, base)
    return number if number <= _LARGEST else None
