"""Durations as people write them: `10s`, `500ms`, `2m`, `1h`, or seconds without a unit."""

import re

from runner.errors import ValueRefused

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0}

LONGEST_SECONDS = 7 * 24 * 3600.0


SHORTEST_INTERVAL_SECONDS = 0.1
"""A snapshot of some thousand keys takes 30 ms."""


def parse_interval(option: str, text: str) -> int:
    """Return the length of windows in milliseconds, a tenth of a second and longer.

    :raises ValueRefused: Naming the option and what it takes.
    """
    seconds = parse_duration(option, text)
    if seconds < SHORTEST_INTERVAL_SECONDS:
        raise ValueRefused(
            f"{option} {text!r}: maps cannot be read that often", hint=f"{option} takes 100ms and longer"
        )
    return round(seconds * 1000)


def parse_with_unit(option: str, text: str) -> float:
    """Return a duration in seconds, as `parse_duration` does, where a file is to say which unit it has.

    :raises ValueRefused: It has none, or is no duration.
    """
    seconds = parse_duration(option, text)
    if text[-1].isdigit():
        raise ValueRefused(f"{option} {text!r}: a duration has its unit", hint=f"{text}s")
    return seconds


def parse_duration(option: str, text: str) -> float:
    """Return a duration in seconds, above 0 and up to a week.

    :raises ValueRefused: Naming the option and what it takes.
    """
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if not 0.001 <= seconds <= LONGEST_SECONDS:
        raise ValueRefused(
            f"{option} {text!r}: not a duration above 0 and up to 7 days",
            hint=f"{option} takes 10s, 500ms, 2m or 1h",
        )
    return seconds
