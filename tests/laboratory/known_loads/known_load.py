"""A load whose size is known, and which number of a recipe's capture has to show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

NAME = "known-load"
"""What the load's process is called."""
OWN = ("--comm", NAME)
"""The filter that keeps what that process does."""


@dataclass(frozen=True, slots=True)
class KnownLoad:
    """What a recipe is run around, and what it must have counted then.

    :param arguments: The recipe's own options and filters.
    :param command: What goes behind `--`: it begins when all probes are attached.
    :param table: The table whose rows count what the load does.
    :param keys: What the load's own rows have for keys.
    :param least: How often the load does it. That many are counted, but for those that the capture says it missed.
    """

    arguments: tuple[str, ...]
    command: tuple[str, ...]
    table: str
    keys: Mapping[str, Any]
    least: int

    def counted(self, capture: Mapping[str, Any]) -> int:
        """Return what the load's own rows of a capture (as JSON) count together."""
        rows = (row for table in capture["tables"] if table["name"] == self.table for row in table["rows"])
        own = (row for row in rows if all(row["key"].get(name) == value for name, value in self.keys.items()))
        return sum(row["count"] if "count" in row else row["value"] for row in own)


if TYPE_CHECKING:
    MakeLoad = Callable[[Path], AbstractContextManager[KnownLoad]]
    """Makes a load in an empty folder, and takes down what it raised."""
