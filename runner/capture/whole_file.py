"""Read a file whose end has to be reached, and that somebody else may have named wrongly."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_BYTES = 1 << 30
"""No capture, recording or set of facts comes near."""


def read_whole(path: Path, most: int = LARGEST_BYTES) -> bytes:
    """Return the bytes of a file, or of a pipe that is named as one.

    :param most: More than that are refused, and not read: /dev/zero has no end.
    :raises OSError: It cannot be read, or has more.
    """
    with path.open("rb") as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise OSError(errno.EFBIG, f"it has more than {most >> 20} MiB")
    return raw
