"""Where an experiment keeps what must survive it: one journal and one lock a host."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import HostRefused, NotWritten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VARIABLE = "EBPF_RECIPE_STATE"
"""Another directory: of a container's volume, of a test."""

_DEFAULT = "/var/lib/ebpf-recipe"
_KEPT = ".kept"
_POLL_SECONDS = 0.1


def state_directory() -> Path:
    """Return it; it need not be there. A reboot leaves it as it is."""
    return Path(os.environ.get(VARIABLE) or _DEFAULT)


def journal_path() -> Path:
    """Return where the journal of the experiment that is under way stands."""
    return state_directory() / "experiment.json"


def work_directory() -> Path:
    """Return where a change puts what it makes (`$WORK`): it is there for as long as the journal is.

    What a change made that stays is not touched again: its way back needs it.
    """
    places = (state_directory() / f"experiment.work{number or ''}" for number in itertools.count())
    return next(each for each in places if not (each / _KEPT).exists())


def keep_work() -> None:
    """Have what a change made stay with it, where it made something."""
    path = work_directory()
    with contextlib.suppress(OSError):
        if any(path.iterdir()):
            (path / _KEPT).touch()
        else:
            path.rmdir()


def clear_work() -> None:
    """Take away what a change made, as far as that can be."""
    with contextlib.suppress(OSError):
        work_directory().unlink()
    shutil.rmtree(work_directory(), ignore_errors=True)


def make_work() -> None:
    """Make the directory for what a change makes, where it is not there yet.

    :raises NotWritten: It cannot be made, or is something else.
    """
    path = work_directory()
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        if path.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    except OSError as error:
        raise NotWritten(
            f"{path}: {error.strerror}", hint=f"see what is there, and take it away: {path}"
        ) from error


@contextlib.contextmanager
def host_lock(wait_seconds: float = 0.0, tell: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Hold the host for one experiment.

    Commands that read and change settings inherit it: while one of a killed experiment still runs, nobody
    else changes anything.

    :param wait_seconds: How long to wait for whoever holds it.
    :param tell: Is told that it is waited.
    :raises HostRefused: Another experiment is under way, or others may write to the directory.
    :raises NotWritten: The directory cannot be made.
    """
    path = state_directory() / "experiment.lock"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_ours(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise NotWritten(
            f"{path}: {error.strerror}: without a journal nothing is changed",
            hint=f"run it as root, or set {VARIABLE} to a directory that survives a reboot",
        ) from error
    try:
        deadline = time.monotonic() + wait_seconds
        is_told = False
        while not _locked(descriptor):
            if wait_seconds and not is_told:
                tell(f"another experiment is under way: waiting {wait_seconds:.0f} s for its end")
                is_told = True
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


def _check_ours(directory: Path) -> None:
    """Refuse a directory that others may write to: the commands of a journal in it are run by us.

    :raises HostRefused: It is such a directory.
    """
    found, itself = directory.stat(), directory.lstat()
    others = found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid != os.getegid())
    if others or found.st_uid != os.geteuid() or itself.st_uid not in (0, os.geteuid()):
        raise HostRefused(
            f"{directory}: it is another user's, or others may write to it; "
            "what a journal in it says would be run with your privilege",
            hint=f"set {VARIABLE} to a directory of your own; where you trust it: chown and chmod 700 it",
        )


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
