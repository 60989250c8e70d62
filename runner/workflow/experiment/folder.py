"""The directory of an experiment: its document, every capture, the comparisons."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import TypeAdapter, ValidationError

from runner.errors import NotUnderstood, NotWritten, ValueRefused
from runner.workflow.experiment.document import SCHEMA, ExperimentResult

if TYPE_CHECKING:
    from runner.workflow.experiment.schedule import Run

DOCUMENT = "experiment.json"


class ExperimentFolder:
    """A new directory.

    :ivar path: Its absolute path.
    """

    def __init__(self, path: Path) -> None:
        """Make it.

        :raises ValueRefused: It holds something already.
        :raises NotWritten: It cannot be made.
        """
        self.path = path.absolute()
        try:
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise ValueRefused(f"{path} is there already, and not empty", hint="--dir DIR: another one")
            for each in ("runs", "comparisons"):
                (self.path / each).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise NotWritten(f"{path}: {error.strerror}", hint="--dir DIR") from error

    def capture_path(self, run: Run | None, recipe: str, warm_up: int = 0) -> Path:
        """Return where the capture of a recipe goes.

        :param run: None for a warm-up.
        """
        if run is None:
            return self.path / "runs" / f"warm-up-{warm_up}.{recipe}.json"
        return self.path / "runs" / f"{run.number:02}-{run.side}.{recipe}.json"

    def shown(self, path: Path) -> str:
        """Return the name of a file in it, as documents have it."""
        return str(path.relative_to(self.path))

    def save(self, result: ExperimentResult) -> None:
        """Replace the document.

        :raises NotWritten: It cannot be written.
        """
        self.write(DOCUMENT, encode_experiment(result))

    def write(self, name: str, data: bytes) -> None:
        """Write a file, whole or not at all.

        :raises NotWritten: It cannot be written.
        """
        try:
            descriptor, beside = tempfile.mkstemp(prefix=".new-", dir=self.path)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                Path(beside).replace(self.path / name)
            except BaseException:
                with contextlib.suppress(OSError):
                    Path(beside).unlink()
                raise
        except OSError as error:
            raise NotWritten(
                f"{self.path / name}: {error.strerror}", hint="--dir DIR, where there is room"
            ) from error


def encode_experiment(result: ExperimentResult) -> bytes:
    """Return the document as indented JSON with a final newline."""
    return orjson.dumps(_as_json(result), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _as_json(value: Any) -> Any:
    """Return it with all texts as JSON can have them: words of a command may be no UTF-8."""
    if isinstance(value, str):
        return value.encode(errors="surrogateescape").decode(errors="replace")
    if isinstance(value, dict):
        return {name: _as_json(each) for name, each in value.items()}
    return [_as_json(each) for each in value] if isinstance(value, list) else value


def read_experiment(path: Path) -> ExperimentResult:
    """Read the document of an experiment.

    :raises NotUnderstood: It is none.
    """
    try:
        found: Any = orjson.loads(path.read_bytes())
        return TypeAdapter(ExperimentResult).validate_python(found)
    except OSError as error:
        raise NotUnderstood(f"{path}: {error.strerror}") from error
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise NotUnderstood(f"{path} is no {SCHEMA}: {str(error).splitlines()[0]}") from error
