"""Known loads of files."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.laboratory import load
from tests.laboratory.known_loads.fixed import once
from tests.laboratory.known_loads.known_load import NAME, OWN, KnownLoad

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.laboratory.known_loads.known_load import MakeLoad

_MIB = 1 << 20

_OPENS = 50

# From the page cache, in one call: some milliseconds each on any machine.
_SLOW_READS, _SLOW_MIB, _LEAST = 20, 64, "1ms"

_READS = 500


@contextlib.contextmanager
def _opens(folder: Path) -> Iterator[KnownLoad]:
    (folder / "here").touch()
    # Each way opens what is there; each but the one that would create it opens what is not.
    each = len(load.WAYS_TO_OPEN) + len([way for way in load.WAYS_TO_OPEN if way is not load.creat])
    yield KnownLoad(OWN, once("opens", _OPENS, folder), "opens", {"comm": NAME}, _OPENS * each)


@contextlib.contextmanager
def _slow_reads(folder: Path) -> Iterator[KnownLoad]:
    path = folder / "large"
    with path.open("wb") as file:
        for _ in range(_SLOW_MIB):
            file.write(bytes(_MIB))
    arguments = (*OWN, "--least", _LEAST)
    keys = {"comm": NAME, "call": "pread64"}
    try:
        yield KnownLoad(arguments, once("reads", path, _SLOW_READS, 0), "slow", keys, _SLOW_READS)
    finally:
        path.unlink()


@contextlib.contextmanager
def _reads(folder: Path) -> Iterator[KnownLoad]:
    path = folder / "small"
    path.write_bytes(bytes(100))
    yield KnownLoad(OWN, once("reads", path, 0, _READS), "reads", {"comm": NAME}, _READS)


LOADS: dict[str, MakeLoad] = {
    "file-opens": _opens,
    "fileslower": _slow_reads,
    "vfs-read-latency": _reads,
}
