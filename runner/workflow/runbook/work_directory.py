"""The directory of a run: its document, its transcript, its captures; one run in each, at any time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import orjson

from runner.errors import NotWritten, ValueRefused
from runner.workflow.clock import now
from runner.workflow.runbook.encode import encode_run, read_run

if TYPE_CHECKING:
    from runner.workflow.runbook.document import RunbookRun

DOCUMENT = "runbook.json"
LINES = "transcript.jsonl"
TEXT = "transcript.txt"


class WorkDirectory:
    """Is held while a run lasts.

    :ivar path: Its absolute path.
    :ivar earlier: The run that is gone on with; None for a new one.
    """

    def __init__(self, path: Path, *, goes_on: bool) -> None:
        """Make it where it is not there, and hold it.

        :param goes_on: With the run that is in it.
        :raises ValueRefused: Another run is in it, or none where one is to be gone on with.
        :raises NotUnderstood: What is in it is no run.
        :raises NotWritten: It cannot be written.
        """
        self.path = path.absolute()
        document = self.path / DOCUMENT
        if goes_on and not document.is_file():
            raise ValueRefused(
                f"--from goes on with an earlier run, and {path} holds none",
                hint="--work DIR: the directory that the earlier run named",
            )
        try:
            # Captures and what commands print is not for everybody.
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lines = _appending(self.path / LINES)
        except OSError as error:
            raise NotWritten(f"{path} cannot be written: {error.strerror}", hint="--work DIR") from error
        try:
            self._hold(path)
            if not goes_on and document.exists():
                raise ValueRefused(
                    f"{path} holds a run already",
                    hint="--from STEP goes on with it; another --work DIR begins anew",
                )
            self.earlier: RunbookRun | None = read_run(document) if goes_on else None
            self._text = self._opened()
        except BaseException:
            self._lines.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._text.close()

    def write(self, event: str, step: str | None, text: str, **more: Any) -> None:
        """Add an entry to the transcript, in both of its forms.

        :param text: Without secrets.
        :raises NotWritten: It cannot be written.
        """
        entry = {"at": now(), "event": event, "step": step, "text": text, **more}
        line = orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
        mark = "  | " if event == "output" else "  $ " if event == "command" else "  "
        head = f"{entry['at']}  " if event in ("begin", "step", "end") else mark
        text = text.replace("\n", "\n    ")
        shown = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
        try:
            self._lines.write(line)
            self._text.write(f"{head}{shown}\n".encode(errors="backslashreplace"))
        except OSError as error:
            raise self._not_written(error) from error

    def save(self, run: RunbookRun) -> None:
        """Replace the document.

        :raises NotWritten: It cannot be written.
        """
        try:
            descriptor, beside = tempfile.mkstemp(prefix=f".{DOCUMENT}.", dir=self.path)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(encode_run(run))
                Path(beside).replace(self.path / DOCUMENT)
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(beside).unlink()
                raise
        except OSError as error:
            raise self._not_written(error) from error

    def new_file(self, name: str) -> Path:
        """Return the path of a capture that is not there yet; those of earlier rounds and runs stay."""
        path = self.path / f"{name}.json"
        number = 1
        while path.exists():
            number += 1
            path = self.path / f"{name}-{number}.json"
        return path

    def _hold(self, path: Path) -> None:
        try:
            fcntl.flock(self._lines, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueRefused(
                f"a run is under way in {path}", hint="wait for its end, or another --work DIR"
            ) from error

    def _opened(self) -> IO[bytes]:
        try:
            return _appending(self.path / TEXT)
        except OSError as error:
            raise self._not_written(error) from error

    def _not_written(self, error: OSError) -> NotWritten:
        return NotWritten(f"{self.path}: {error.strerror}", hint="what was done until then is in there")


def _appending(path: Path) -> IO[bytes]:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "ab", buffering=0)
