"""Where a result goes: stdout or a file, checked before the trace; never lost when writing fails."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import NotWritten

if TYPE_CHECKING:
    from collections.abc import Iterator

# mkstemp makes names that nobody guesses.
_REFUGES = ("/dev/shm", "/run", "/var/tmp", "/tmp")  # noqa: S108
"""Where a result is kept that could not be written where it was asked for: memory first."""


class Destination:
    """Stdout, or a file that is replaced as a whole."""

    def __init__(self, path: Path | None) -> None:
        """Check that the file can be written, before anything is measured.

        :raises NotWritten: It cannot.
        """
        # A link stays one: what it leads to is replaced.
        self.path = path = path.resolve() if path is not None and path.is_symlink() else path
        try:
            if path is None:
                os.write(sys.stdout.fileno(), b"")
                return
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if path.exists() and not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            if path.is_file() or not path.exists():
                with self._beside():
                    pass
        except OSError as error:
            where = path or "stdout"
            raise NotWritten(f"{where} cannot be written: {error.strerror}", hint="-o FILE") from error

    def write(self, data: bytes) -> None:
        """Write the whole result.

        :raises NotWritten: It could not be written; the message says where it was kept instead.
        """
        try:
            if self.path is None:
                _write_stdout(data)
            elif self.path.exists() and not self.path.is_file():
                with self.path.open("wb", buffering=0) as device:
                    _write_all(device.fileno(), data)
            else:
                self._replace(data)
        except OSError as error:
            where = "stdout" if self.path is None else str(self.path)
            raise NotWritten(
                f"{where}: {error.strerror}", hint=f"the result is kept in {keep(data)}"
            ) from error

    def _replace(self, data: bytes) -> None:
        assert self.path is not None
        with self._beside() as (descriptor, beside):
            _write_all(descriptor, data)
            mode = stat.S_IMODE(self.path.stat().st_mode) if self.path.exists() else 0o666 & ~_umask()
            os.fchmod(descriptor, mode)
            Path(beside).replace(self.path)

    @contextlib.contextmanager
    def _beside(self) -> Iterator[tuple[int, str]]:
        assert self.path is not None
        descriptor, beside = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.absolute().parent)
        try:
            yield descriptor, beside
        finally:
            os.close(descriptor)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)  # noqa: PTH108


def print_text(text: str) -> None:
    """Print text that can be had again, and a newline.

    :raises NotWritten: stdout does not take it.
    """
    try:
        _write_stdout((text.removesuffix("\n") + "\n").encode(errors="surrogateescape"))
    except OSError as error:
        raise NotWritten(f"stdout: {error.strerror}") from error


def keep(data: bytes) -> str:
    """Keep bytes in the first place that takes them, and return where that is."""
    for folder in _REFUGES:
        try:
            descriptor, name = tempfile.mkstemp(prefix="ebpf-recipe-", suffix=".kept", dir=folder)
        except OSError:
            continue
        try:
            _write_all(descriptor, data)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name)  # noqa: PTH108
        else:
            return name
        finally:
            os.close(descriptor)
    with contextlib.suppress(OSError):
        _write_all(2, data)
    return "the lines above: no folder could take it"


def _write_stdout(data: bytes) -> None:
    sys.stdout.flush()
    _write_all(sys.stdout.fileno(), data)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
