"""Units in which an amount of what a table holds may be written, and what it is in the table's own."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NANOSECONDS: Mapping[str, int] = {
    "ns": 1,
    "us": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
}
"""As the parameters of recipes are written."""

_TIMES: Mapping[str, int] = {"ns": 1, "us": 1_000, "ms": 1_000_000, "seconds": 1_000_000_000}
"""Units of tables."""

_BYTES: Mapping[str, int] = {
    "bytes": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip

SECONDS_PER: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600}
"""What a rate may be per."""

SHARE = "share"
"""What `above` gives: no unit of a table, for it is written with % alone."""


def is_time(unit: str | None) -> bool:
    """Whether a table of this unit holds times: whole ones, what is between two of them left out."""
    return unit in _TIMES


def ways_to_write(unit: str | None) -> tuple[str, ...]:
    """Return how an amount may be written; an empty one is no unit.

    :param unit: The table's; None where it declares none.
    """
    if unit in _TIMES:
        return tuple(_NANOSECONDS)
    if unit == "bytes":
        return tuple(_BYTES)
    if unit == SHARE:
        return ("%",)
    if unit == "ratio":
        return ("%", "")
    if unit is None or unit == "none":
        return ("",)
    return (unit, "")


def in_unit(number: Fraction, written: str, unit: str | None) -> Fraction | None:
    """Return an amount in the table's unit; None where it cannot be written so.

    :param written: The unit that it was written with.
    """
    if written not in ways_to_write(unit):
        return None
    if unit is not None and unit in _TIMES:
        return number * Fraction(_NANOSECONDS[written], _TIMES[unit])
    if unit == "bytes":
        return number * _BYTES[written]
    return number / 100 if written == "%" else number
