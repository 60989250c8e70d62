"""A known load for every recipe: short, made by Python alone, with a number that the recipe must show.

It runs wherever a recipe can run, in an emulated guest too: nothing is needed but /tmp, the loopback interface and
loop devices.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.laboratory.known_loads import disks, files, functions, network, tasks
from tests.laboratory.known_loads.known_load import KnownLoad

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.laboratory.known_loads.known_load import MakeLoad

__all__ = ["KINDS", "RECIPES", "KnownLoad", "known_load"]

KINDS = functions.KINDS

_LOADS: dict[str, MakeLoad] = {**tasks.LOADS, **files.LOADS, **disks.LOADS, **network.LOADS}

RECIPES = frozenset({*_LOADS, *KINDS})
"""The recipes that have one."""


@contextlib.contextmanager
def known_load(recipe: str, folder: Path, kind: str | None = None) -> Iterator[KnownLoad]:
    """Make the load of a recipe ready, and take down what it raised.

    :param folder: Empty; on any file system.
    :param kind: Of a recipe of functions, one of its KINDS; by default the first.
    :raises KeyError: The recipe has none.
    """
    make = functions.load_of(recipe, kind or KINDS[recipe][0]) if recipe in KINDS else _LOADS[recipe]
    with make(folder) as load:
        yield load
