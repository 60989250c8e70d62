"""Numbers with their units as people read them; the JSON has the exact ones."""

from __future__ import annotations

_NANOSECONDS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "seconds": 1_000_000_000}
_TIMES = (("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000))


def is_time(unit: str | None) -> bool:
    """Whether a unit is one of time, whose numbers are shown in the unit that suits them."""
    return unit in _NANOSECONDS


def amount(value: int, unit: str | None) -> str:
    """Return a number of a unit as people read it: a time with its own unit, anything else as it is."""
    if unit not in _NANOSECONDS:
        return str(value)
    nanoseconds = value * _NANOSECONDS[unit]
    for name, size in _TIMES:
        if abs(nanoseconds) >= size:
            digits = ".4g" if abs(nanoseconds) < 1000 * size else ".0f"
            return f"{nanoseconds / size:{digits}} {name}"
    return f"{nanoseconds} ns"


def quantity(value: int, unit: str | None) -> str:
    """Return the same with the unit behind it."""
    return amount(value, unit) if is_time(unit) else f"{value} {unit or ''}".rstrip()


def number(value: float, unit: str) -> str:
    """Return a number that was made of others, a mean or a share, with its unit."""
    if unit == "ratio":
        return f"{100 * value:.4g}%"
    if is_time(unit) and (isinstance(value, int) or value >= 1000):
        return amount(round(value), unit)
    shown = str(value) if isinstance(value, int) else f"{value:.4g}"
    return f"{shown} {unit}".rstrip()
