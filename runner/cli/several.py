"""Several captures as JSON: a file for each in a directory, or one array behind all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from runner.cli.output import Destination, keep
from runner.errors import NotWritten, ValueRefused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from runner.capture.document import Capture

_OURS = re.compile(r"(run|window)-\d{3,}(-window-\d{3,})?\.json")
_FILE_SUFFIXES = (".json", ".jsonl", ".txt")


class Several(Protocol):
    """Takes the captures of one run after the other."""

    def take(self, captures: Sequence[Capture]) -> None:
        """Take the captures of one run: one, or its windows in their order."""

    def close(self) -> None:
        """Write what is not written yet: there are no more."""


class Folder:
    """A directory of captures, each written as a whole when its run is over."""

    def __init__(self, path: Path, *, runs: int | None, has_windows: bool) -> None:
        """Make the directory.

        :param runs: How many runs there are to be; None for one that is not repeated.
        :param has_windows: Each run has windows.
        :raises ValueRefused: It has captures already, or its name is a file's.
        :raises NotWritten: It cannot be made or written.
        """
        self._path = path
        self._runs = runs
        self._has_windows = has_windows
        self._run = 0
        if not path.is_dir() and (path.exists() or path.suffix in _FILE_SUFFIXES):
            raise ValueRefused(
                f"-o {path}: there are several captures, each a file in a directory",
                hint=f"-o {path.with_suffix('')}",
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            there = sorted(each.name for each in path.iterdir() if _OURS.fullmatch(each.name))
        except OSError as error:
            raise NotWritten(f"{path} cannot be written: {error.strerror}", hint="-o DIR") from error
        if there:
            raise ValueRefused(
                f"-o {path}: it has captures of another run ({there[0]}): they would be taken for this one's",
                hint="-o another directory, or remove them",
            )
        Destination(path / "run-001.json")

    def take(self, captures: Sequence[Capture]) -> None:
        """Write the captures of one run.

        :raises NotWritten: One could not be written; the message says where it and those behind it were kept.
        """
        from runner.capture.encode import encode_capture, encode_captures

        self._run += 1
        for place, capture in enumerate(captures):
            try:
                Destination(self._path / self._name(place, len(captures))).write(encode_capture(capture))
            except NotWritten as error:
                if place + 1 < len(captures) or error.hint is None or "kept in" not in error.hint:
                    error.hint = f"what was not written is kept in {keep(encode_captures(captures[place:]))}"
                raise

    def close(self) -> None:
        """Do nothing: all is written."""

    def _name(self, place: int, windows: int) -> str:
        parts = []
        if self._runs is not None:
            parts.append(f"run-{self._run:0{_digits(self._runs)}}")
        if self._has_windows:
            parts.append(f"window-{place + 1:0{_digits(windows)}}")
        return f"{'-'.join(parts)}.json"


def _digits(count: int) -> int:
    """Return how many digits numbers have whose order is that of their names."""
    return max(3, len(str(count)))


class Array:
    """One JSON array of all captures."""

    def __init__(self, destination: Destination) -> None:
        """Have none yet."""
        self._destination = destination
        self._captures: list[Capture] = []

    def take(self, captures: Sequence[Capture]) -> None:
        """Keep the captures of one run."""
        self._captures += captures

    def close(self) -> None:
        """Write the array.

        :raises NotWritten: It could not be written; the message says where it was kept instead.
        """
        from runner.capture.encode import encode_captures

        self._destination.write(encode_captures(self._captures))
