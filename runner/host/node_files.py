"""Files below a root that others write while we read them: bounded in size, read again once they changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

from runner.host.process_files import inside_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")

_MOST_BYTES = 16 << 20
"""A config.json has some kB, and up to 256 kB of annotations of a pod; a list of 1000 containers has 1 MB."""

_MOST_KEPT = 8192
"""How many files' contents are kept: some 100 bytes each."""


class NodeFiles:
    """Files below a root, where what is missing, huge or damaged is simply not there.

    What was read is kept while the file has the same inode, size and time. That it is missing is not kept.
    """

    def __init__(self, root: Path) -> None:
        """:param root: / or, from inside a container, the root of a process outside: /proc/1/root."""
        self._root = str(root).rstrip("/")
        self._kept: dict[str, tuple[tuple[int, ...], Any]] = {}

    def read(self, path: str, parse: Callable[[bytes], _T]) -> _T | None:
        """Return what a parser makes of a file; None where there is none that it can read.

        A path has to be read by the same parser each time.

        :param parse: Raises ValueError where it cannot.
        """
        try:
            # Without O_NONBLOCK a pipe in a file's place would keep us here.
            descriptor = os.open(self._place(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        try:
            status = os.fstat(descriptor)
            sign = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            kept = self._kept.get(path)
            if kept is not None and kept[0] == sign:
                found: _T = kept[1]
                return found
            if status.st_size > _MOST_BYTES:
                return None  # pipes and devices have no size, and folders cannot be read
            found = parse(os.read(descriptor, status.st_size))
        except (OSError, ValueError, RecursionError):
            return None
        finally:
            os.close(descriptor)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[path] = (sign, found)
        return found

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, sorted; none where it cannot be listed."""
        try:
            return sorted(os.listdir(self._place(folder)))  # noqa: PTH208
        except (OSError, ValueError):
            return []

    def link(self, path: str) -> str | None:
        """Return where a symbolic link leads; None where it is none."""
        folder, _, name = path.rpartition("/")
        try:
            return os.readlink(f"{self._place(folder)}/{name}")  # noqa: PTH115
        except (OSError, ValueError):
            return None

    def _place(self, path: str) -> str:
        return inside_of(self._root, path) if self._root else path
