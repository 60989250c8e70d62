"""What is to be put back, written before it is changed: it survives whatever ends the experiment."""

from __future__ import annotations

import errno
import os
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from runner.errors import NotUnderstood, NotWritten
from runner.host.kernel import boot_id
from runner.workflow.experiment.setting import Setting  # noqa: TC001  # pydantic reads it

if TYPE_CHECKING:
    from collections.abc import Sequence

MACHINE_ID = Path("/etc/machine-id")


class Entry(BaseModel):
    """A setting, and what is known of its states."""

    model_config = ConfigDict(extra="forbid")

    setting: Setting
    before: str
    """What was read before anything was changed."""
    after: str | None = None
    """What was read when it was changed; null while it is being changed, and before."""


class Journal(BaseModel):
    """An experiment that may have changed this host."""

    model_config = ConfigDict(extra="forbid")

    schema_: Literal["ebpf-recipe/experiment-journal/v1"] = "ebpf-recipe/experiment-journal/v1"
    title: str
    directory: str
    """Where the experiment keeps its results."""
    started: str
    pid: int
    hostname: str
    boot_id: str
    machine_id: str | None
    entries: list[Entry]

    @classmethod
    def begin(cls, title: str, directory: Path, entries: Sequence[Entry]) -> Journal:
        """Return the journal of an experiment that begins now, on this host; it is not written yet."""
        return cls(
            title=title,
            directory=str(directory),
            started=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            pid=os.getpid(),
            hostname=socket.gethostname(),
            boot_id=boot_id(),
            machine_id=machine_id(),
            entries=list(entries),
        )

    def write(self, path: Path) -> None:
        """Put it on the disk, whole, before this returns.

        :raises NotWritten: It could not be.
        """
        beside = path.with_suffix(".new")
        try:
            # Never through a link: the file that one leads to would be lost.
            beside.unlink(missing_ok=True)
            with beside.open("xb") as file:
                file.write(orjson.dumps(self.model_dump(), option=orjson.OPT_INDENT_2))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            _sync(path.parent)
        except OSError as error:
            raise NotWritten(f"{path}: {error.strerror}: without a journal nothing is changed") from error


def read_journal(path: Path) -> Journal | None:
    """Return the journal that was left; None where none was.

    :raises NotUnderstood: It is damaged.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123
            if os.fstat(descriptor).st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, "it is another user's")
            return Journal.model_validate(orjson.loads(file.read()))
    except FileNotFoundError:
        return None
    except (OSError, orjson.JSONDecodeError, ValidationError) as error:
        raise NotUnderstood(
            f"{path} cannot be read as the journal of an experiment: {str(error).splitlines()[0]}",
            hint="see in it what was changed, put it back by hand, then take the file away",
        ) from error


def remove_journal(path: Path) -> None:
    """Take the journal away: everything is as it was, or is to stay as it is.

    :raises NotWritten: It cannot be taken away.
    """
    try:
        path.unlink()
        _sync(path.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise NotWritten(
            f"{path}: {error.strerror}: what it says is done with, and it cannot be taken away",
            hint=f"rm {path}",
        ) from error


def machine_id() -> str | None:
    """Return what systemd's machine-id(5) says; None where there is none."""
    try:
        return MACHINE_ID.read_text().strip() or None
    except OSError:
        return None


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
