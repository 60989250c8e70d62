"""Known loads of disks: a loop device that nobody else uses."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.laboratory.disk import MIB, disk
from tests.laboratory.known_loads.fixed import once
from tests.laboratory.known_loads.known_load import NAME, OWN, KnownLoad

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.laboratory.known_loads.known_load import MakeLoad

_READS = 200


def _direct(*arguments: str, of_process: bool) -> MakeLoad:
    # Past the page cache, and one after the other: each read is a request.
    @contextlib.contextmanager
    def make(folder: Path) -> Iterator[KnownLoad]:
        with disk(folder, 8 * MIB, direct=False) as one:
            keys = {"device": one.name, "operation": "read"} | ({"comm": NAME} if of_process else {})
            command = once("direct", one.path, _READS)
            yield KnownLoad((*arguments, "--device", one.path), command, "requests", keys, _READS)

    return make


LOADS: dict[str, MakeLoad] = {
    "biolatency": _direct(of_process=False),
    "bitesize": _direct(*OWN, of_process=True),
}
