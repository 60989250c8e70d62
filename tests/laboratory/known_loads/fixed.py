"""Known loads that need nothing but their own process."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from tests.laboratory.known_loads.known_load import KnownLoad

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.laboratory.known_loads.known_load import MakeLoad


def once(*words: object) -> tuple[str, ...]:
    """Return the command that does what `once.py` calls by these words."""
    return (sys.executable, "-m", "tests.laboratory.known_loads.once", *map(str, words))


def fixed(
    arguments: tuple[str, ...], words: tuple[object, ...], table: str, least: int, **keys: Any
) -> MakeLoad:
    """Return what makes such a load.

    :param words: Of `once.py`; the rest is as in KnownLoad.
    """

    @contextlib.contextmanager
    def make(_folder: Path) -> Iterator[KnownLoad]:
        yield KnownLoad(arguments, once(*words), table, keys, least)

    return make
