"""Where an experiment keeps what must survive it: one journal and one lock a host."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import HostRefused, NotWritten

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE = "EBPF_RECIPE_STATE"
"""Another directory: of a container's volume, of a test."""

_DEFAULT = "/var/lib/ebpf-recipe"
_POLL_SECONDS = 0.1


def state_directory() -> Path:
    """Return it; it need not be there. A reboot leaves it as it is."""
    return Path(os.environ.get(VARIABLE) or _DEFAULT)


def journal_path() -> Path:
    """Return where the journal of the experiment that is under way stands."""
    return state_directory() / "experiment.json"


def work_directory() -> Path:
    """Return where a change puts what it makes (`$WORK`): it is there for as long as the journal is."""
    return state_directory() / "experiment.work"


def clear_work() -> None:
    """Take away what a change made."""
    shutil.rmtree(work_directory(), ignore_errors=True)


@contextlib.contextmanager
def host_lock(wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the host for one experiment.

    Commands that read and change settings inherit it: while one of a killed experiment still runs, nobody
    else changes anything.

    :param wait_seconds: How long to wait for whoever holds it.
    :raises HostRefused: Another experiment is under way.
    :raises NotWritten: The directory cannot be made.
    """
    path = state_directory() / "experiment.lock"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NotWritten(
            f"{path}: {error.strerror}: without a journal nothing is changed",
            hint=f"run it as root, or set {VARIABLE} to a directory that survives a reboot",
        ) from error
    try:
        deadline = time.monotonic() + wait_seconds
        while not _locked(descriptor):
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 100, 0).decode(errors="replace").strip()
                raise HostRefused(
                    f"another experiment is under way on this host{f' (process {holder})' if holder else ''}",
                    hint="two changes at once prove nothing: wait for its end",
                )
            time.sleep(_POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        os.set_inheritable(descriptor, True)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
