"""What a command says of its work: how much it did, in a file whose name it finds in its environment."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "EBPF_RECIPE_WORK"

MOST = 2**63 - 1

_MOST_BYTES = 1 << 16
"""So much of the file's end is read."""

_WORK = re.compile(r"(?P<count>[0-9]{1,30})(?:[ \t]+(?P<unit>\S{1,64}))?")


@dataclass(frozen=True, slots=True)
class Work:
    """So many units of work (`12000 requests`)."""

    count: int
    unit: str | None


class WorkFile:
    """An empty file in a private directory, which goes with it."""

    def __init__(self) -> None:
        """Make it.

        :raises OSError: There is no place for it.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="ebpf-recipe-work-"))
        self.path = self._folder / "work"
        self.path.touch(mode=0o600)

    def read(self) -> bytes:
        """Return the end of what was written.

        :raises OSError: It is no file any more.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(0, "it is no regular file")
            return os.pread(descriptor, _MOST_BYTES, max(found.st_size - _MOST_BYTES, 0))
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove it, whatever became of it."""
        shutil.rmtree(self._folder, ignore_errors=True)


def parse_work(written: bytes) -> Work | None:
    """Return what the last line that is not empty says; None where nothing was written.

    :raises ValueError: It is not `NUMBER [UNIT]`.
    """
    lines = [line for line in written.splitlines() if line.strip()]
    if not lines:
        return None
    text = lines[-1].strip().decode(errors="replace")
    match = _WORK.fullmatch(text)
    if match is None or not (match["unit"] or "x").isprintable() or "\ufffd" in text:
        raise ValueError(f"{text[:80]!r} is not NUMBER [UNIT]")
    if int(match["count"]) > MOST:
        raise ValueError(f"{match['count']} is more than {MOST}")
    return Work(int(match["count"]), match["unit"])
