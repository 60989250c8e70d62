"""Values of a change's parameters: typed, so that they stand in a shell's text without quotes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ValueType:
    """How a value is written.

    :param metavar: How it is called in help texts.
    :param in_words: What it may be.
    """

    metavar: str
    pattern: str
    in_words: str
    bounds: tuple[int, int] | None = None


VALUE_TYPES: Mapping[str, ValueType] = {
    "integer": ValueType("N", r"[0-9]+", "a whole number", (0, (1 << 63) - 1)),
    "port": ValueType("PORT", r"[0-9]+", "a port from 1 to 65535", (1, 65535)),
    "pid": ValueType("PID", r"[0-9]+", "a process id", (1, 1 << 22)),
    "device": ValueType("DISK", r"[A-Za-z0-9][A-Za-z0-9!_.-]*", "a name below /sys/block: sda, nvme0n1"),
    "interface": ValueType("INTERFACE", r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}", "a name that `ip link` shows"),
    "cpus": ValueType("CPUS", r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*", "processors: 0-3,6"),
    "word": ValueType("WORD", r"[A-Za-z0-9_+-][A-Za-z0-9_.:@,+-]*", "letters, digits and _ . : @ , + -"),
    "path": ValueType(
        "PATH", r"/[A-Za-z0-9_./:@,+!-]*", "an absolute path of letters, digits, _ . : @ , + ! -"
    ),
}

MOST_CPUS = 8191
"""The highest number that a processor can have (CONFIG_NR_CPUS)."""

_RANGE = re.compile(r"([0-9]+)-([0-9]+)")
_SWAPPED = str.maketrans("./", "/.")
_PLACE = re.compile(r"\$(?:\{([A-Z][A-Z0-9_]*)\}|([A-Z][A-Z0-9_]*))")


def variable_of(name: str) -> str:
    """Return the environment variable of a parameter: `KIB` of `kib`, `MAX_KIB` of `max-kib`."""
    return name.upper().replace("-", "_")


def refusal_of(kind: str, text: str, least: int | None = None, most: int | None = None) -> str | None:
    """Return what a value has to be where a text is none; None where it is one."""
    value_type = VALUE_TYPES[kind]
    if not re.fullmatch(value_type.pattern, text):
        return f"{text!r} is not {value_type.in_words}"
    if kind == "path" and ".." in text.split("/"):
        return f"{text!r} leads upwards"
    if kind == "cpus" and any(int(first) > int(last) for first, last in _RANGE.findall(text)):
        return f"{text!r} has a range that ends before it begins"
    if kind == "cpus" and any(len(each) > 5 or int(each) > MOST_CPUS for each in re.findall("[0-9]+", text)):
        return f"{text!r} has a processor above {MOST_CPUS}, which no kernel has"
    if value_type.bounds is not None:
        lowest, highest = value_type.bounds
        lowest = lowest if least is None else least
        highest = highest if most is None else most
        if not lowest <= int(text) <= highest:
            return f"{text} is not from {lowest} to {highest}"
    return None


def places_in(text: str) -> list[str]:
    """Return the variables that a text asks for, as a shell would read them."""
    return [braced or bare for braced, bare in _PLACE.findall(text)]


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return a text with what is known in its places, and all else as it stands.

    :param values: By environment variable.
    """

    def known(found: re.Match[str]) -> str:
        return values.get(found[1] or found[2], found[0])

    return _PLACE.sub(known, text)


def fill_sysctl(name: str, values: Mapping[str, str]) -> str:
    """Return the name of a sysctl with what is known in its places, as sysctl(8) takes it.

    Beside dots that separate, the dot of an interface's name (`eth0.1`) is written `/`.
    """
    if _separator(name) == ".":
        values = {variable: value.replace(".", "/") for variable, value in values.items()}
    return fill(name, values)


def sysctl_file(name: str) -> str:
    """Return the file of a sysctl: of `.` and `/` what comes first separates, and the other stands for it."""
    return f"/proc/sys/{name if _separator(name) == '/' else name.translate(_SWAPPED)}"


def _separator(name: str) -> str:
    return next((character for character in name if character in "./"), ".")
