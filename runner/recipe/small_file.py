"""Read the files of a catalogue: small, regular, and never waited for."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_BYTES = 1 << 18
"""No recipe and no template comes near."""


def read_small(path: Path) -> bytes:
    """Return the bytes of a file.

    :raises OSError: It cannot be read, is a FIFO, a device or a socket, or is larger than 256 KiB.
    """
    # A FIFO that nobody writes to would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file")
        raw = file.read(LARGEST_BYTES + 1)
    if len(raw) > LARGEST_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {LARGEST_BYTES >> 10} KiB")
    return raw
