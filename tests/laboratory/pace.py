"""A compiled load that does one thing as fast as it can and says how fast that was (pace.c)."""

from __future__ import annotations

import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SOURCE = Path(__file__).parent / "pace.c"


@dataclass(frozen=True, slots=True)
class Tenth:
    """What the load did in a tenth of a second.

    :param ended_ns: When it was over, by CLOCK_MONOTONIC.
    :param turns: How often it did its thing.
    :param ns: How long that took.
    """

    ended_ns: int
    turns: int
    ns: int


def built(folder: Path) -> Path:
    """Compile the load into a folder."""
    path = folder / "pace"
    subprocess.run(["gcc", "-O1", "-Wall", "-o", path, _SOURCE], check=True)
    return path


def tenths(text: str) -> list[Tenth]:
    """Return what the load said."""
    return [Tenth(*map(int, line.split())) for line in text.splitlines() if line.count(" ") == 2]


def per_second(parts: Iterable[Tenth]) -> float:
    """Return the turns per second of the median tenth."""
    return statistics.median(part.turns / part.ns * 1e9 for part in parts)


def least_ns(parts: Iterable[Tenth]) -> float:
    """Return the nanoseconds per turn of the fastest tenth."""
    return min(part.ns / part.turns for part in parts)
