"""Where a result goes: stdout or a file, checked before the trace; never lost when writing fails."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import Interrupted, NotWritten, Terminated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# mkstemp makes names that nobody guesses.
_MOST_LINKS = 40
_REFUGES = ("/dev/shm", "/run", "/var/tmp", "/tmp")  # noqa: S108
"""Where a result is kept that could not be written where it was asked for: memory first."""


class Destination:
    """Stdout, another open descriptor, or a file that is replaced as a whole."""

    def __init__(self, path: Path | None, *, option: str = "-o") -> None:
        """Check that it can be written, before anything is measured.

        :param option: The option that named it.
        :raises NotWritten: It cannot.
        """
        self.path = path
        self.descriptor: int | None = None
        try:
            self.descriptor = 1 if path is None else _open_descriptor(path)
            if self.descriptor is not None:
                os.write(self.descriptor, b"")
                return
            assert path is not None
            # A link stays one: what it leads to is replaced.
            self.path = path = path.resolve() if path.is_symlink() else path
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if path.exists() and not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            if path.is_file() or not path.exists():
                with self._beside():
                    pass
        except (OSError, RuntimeError) as error:
            # pathlib says that links lead in a circle with a RuntimeError.
            why = getattr(error, "strerror", None) or "links that lead in a circle"
            raise NotWritten(f"{path or 'stdout'} cannot be written: {why}", hint=f"{option} FILE") from error

    def is_same_as(self, other: Destination) -> bool:
        """Whether both are one file or descriptor."""
        if self.descriptor is not None or other.descriptor is not None:
            return self.descriptor == other.descriptor
        assert self.path is not None
        assert other.path is not None
        return self.path.absolute() == other.path.absolute()

    def write(self, data: bytes) -> None:
        """Write the whole result.

        :raises NotWritten: It could not be written; the message says where it was kept instead.
        """
        try:
            self._write([data])
        except (OSError, Interrupted, Terminated) as error:
            raise self._not_written(error, hint=f"the result is kept in {keep(data)}") from error

    def write_pieces(self, pieces: Iterable[bytes]) -> None:
        """Write a result that is made while it is written, and can be made again.

        :raises NotWritten: It could not be written.
        """
        try:
            self._write(pieces)
        except OSError as error:
            raise self._not_written(error, hint=None) from error

    def _not_written(self, error: OSError | Interrupted | Terminated, hint: str | None) -> NotWritten:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return NotWritten(f"{self.path or 'stdout'}: {why}", hint=hint)

    def _write(self, pieces: Iterable[bytes]) -> None:
        if self.descriptor is not None:
            sys.stdout.flush()
            for piece in pieces:
                _write_all(self.descriptor, piece)
        elif self.path is not None and self.path.exists() and not self.path.is_file():
            with self.path.open("wb", buffering=0) as device:
                for piece in pieces:
                    _write_all(device.fileno(), piece)
        else:
            self._replace(pieces)

    def _replace(self, pieces: Iterable[bytes]) -> None:
        assert self.path is not None
        with self._beside() as (descriptor, beside):
            for piece in pieces:
                _write_all(descriptor, piece)
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
        _write_descriptor(1, (text.removesuffix("\n") + "\n").encode(errors="surrogateescape"))
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


def say(text: str) -> None:
    """Print a message on stderr, where it takes one; what names bring along is shown, never obeyed."""
    shown = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    print(shown, file=sys.stderr, flush=True)


def _open_descriptor(path: Path) -> int | None:
    """Return the descriptor of ours that a path such as /dev/stdout leads to; None for other files."""
    for _ in range(_MOST_LINKS):
        folder = os.path.realpath(path.parent)
        if re.fullmatch(rf"/proc/{os.getpid()}(/task/\d+)?/fd", folder) and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _write_descriptor(descriptor: int, data: bytes) -> None:
    sys.stdout.flush()
    _write_all(descriptor, data)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
