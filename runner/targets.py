"""The processes or cgroups that a run is asked for: when the last is gone there is nothing left."""

from __future__ import annotations

import os
import select
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterable
    from pathlib import Path

_LOOK_MS = 250
"""So often it is looked whether cgroups are still there: an empty one is removed without a word to others."""


def missing_folders(folders: Iterable[tuple[Path, int]]) -> list[Path]:
    """Return the directories that are gone, whether others of their names came or not.

    :param folders: Each with its inode number.
    """
    gone = []
    for folder, inode in folders:
        try:
            if folder.stat().st_ino == inode:
                continue
        except OSError:
            pass
        gone.append(folder)
    return gone


class TargetWatch:
    """Waits in a thread for the end of processes or of cgroups. Use as a context manager."""

    def __init__(
        self, pids: Iterable[int], on_end: Callable[[], None], folders: Iterable[tuple[Path, int]] = ()
    ) -> None:
        """Open the processes; none of them can be mistaken for a later one of its number.

        :param pids: Processes; without any, and without cgroups, nothing is waited for.
        :param on_end: Called, from the thread, when all processes have ended, or all cgroups.
        :param folders: Directories of cgroups, each with its inode number.
        """
        self._on_end = on_end
        self._open: set[int] = set()
        self._folders = list(folders)
        self._thread: threading.Thread | None = None
        pids = list(pids)
        if not pids and not self._folders:
            return
        for pid in pids:
            try:
                self._open.add(os.pidfd_open(pid))
            except ProcessLookupError:
                continue
            except OSError:
                # A kernel without pidfd_open (before 5.3), or no descriptors: the run ends by its duration.
                self._close()
                if not self._folders:
                    return
                break
        self._stop = os.eventfd(0)
        self._thread = threading.Thread(target=self._wait, name="targets", daemon=True)

    def __enter__(self) -> Self:
        return self

    def begin(self) -> None:
        """Call for the ends that were, and for those that come."""
        if self._thread is not None:
            self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        if self._thread is not None:
            if self._thread.is_alive():
                os.eventfd_write(self._stop, 1)
                self._thread.join()
            os.close(self._stop)
        self._close()

    def _wait(self) -> None:
        poll = select.poll()
        for descriptor in (self._stop, *self._open):
            poll.register(descriptor, select.POLLIN)
        left, had_processes = set(self._open), bool(self._open)
        while (left or not had_processes) and (self._are_there() or not self._folders):
            for descriptor, _ in poll.poll(_LOOK_MS if self._folders else None):
                if descriptor == self._stop:
                    return
                poll.unregister(descriptor)
                left.discard(descriptor)
        self._on_end()

    def _are_there(self) -> bool:
        """Whether one of the cgroups is left."""
        return len(missing_folders(self._folders)) < len(self._folders)

    def _close(self) -> None:
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()
