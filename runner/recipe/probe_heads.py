"""The probes that a program attaches to, as it writes them; wildcards among them, and how far they reach."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_MATCHES = 100
"""Probes that one wildcard may match: each takes milliseconds to attach, and costs wherever it fires."""

LEAST_LETTERS = 3

_KINDS = {
    "t": "tracepoint", "tracepoint": "tracepoint", "rt": "rawtracepoint", "rawtracepoint": "rawtracepoint",
    "k": "kprobe", "kprobe": "kprobe", "kr": "kretprobe", "kretprobe": "kretprobe",
    "f": "fentry", "kfunc": "fentry", "fentry": "fentry",
    "fr": "fexit", "kretfunc": "fexit", "fexit": "fexit",
    "u": "uprobe", "uprobe": "uprobe", "ur": "uretprobe", "uretprobe": "uretprobe",
    "U": "usdt", "usdt": "usdt",
}  # fmt: skip
"""Kinds of probes that take names, by bpftrace's own names and short names."""

_IGNORED = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\])*"', re.DOTALL)
_PROBE = re.compile(rf"(?<![\w$>.:/])({'|'.join(sorted(_KINDS, key=len, reverse=True))}):([^\s,{{]+)")
_WILDCARD = re.compile(r"[*?\[\]]")


def probes_of(program: str) -> Iterator[str]:
    """Return the probes of a program that have names, as `kind:name` with the kind's long name."""
    code = _IGNORED.sub(lambda match: " " if match[0][0] == "/" else match[0], program)
    depth = 0
    head: list[str] = []
    for part in re.split(r"([{}])", code):
        if part == "{":
            if depth == 0:
                yield from (f"{_KINDS[kind]}:{name}" for kind, name in _PROBE.findall("".join(head)))
                head.clear()
            depth += 1
        elif part == "}":
            depth = max(depth - 1, 0)
        elif depth == 0:
            head.append(part)


def is_wildcard(probe: str) -> bool:
    """Whether a probe may stand for several."""
    return _WILDCARD.search(re.sub(r'"[^"]*"?', "", probe)) is not None


def is_too_broad(probe: str) -> bool:
    """Whether a wildcard says so little that it matches thousands on any host: `kprobe:*`, `kprobe:s*`."""
    kind, _, name = probe.partition(":")
    # Of a tracepoint the category alone narrows it down.
    deciding = name.partition(":")[0] if kind == "tracepoint" else name.rpartition(":")[2]
    letters = re.sub(r"\[[^\]]*\]|[*?]", "", deciding)
    return is_wildcard(deciding) and len(letters) < LEAST_LETTERS


def check_wildcards(program: str, count: Callable[[str], int | None], name: str) -> None:
    """Refuse wildcards that match more than a few probes.

    :param count: Returns how many a wildcard matches on the host; None where that is not known.
    :param name: The recipe's id.
    :raises ValueRefused: Naming each such wildcard and the number.
    """
    refused = list(_refused(dict.fromkeys(probes_of(program)), count))
    if refused:
        lines = "\n".join(f"{name}: {text}" for text in refused)
        raise ValueRefused(lines, hint="write out the probes that are meant in its template")


def _refused(probes: Iterable[str], count: Callable[[str], int | None]) -> Iterator[str]:
    for probe in probes:
        if not is_wildcard(probe):
            continue
        number = count(probe)
        if number is None:
            yield f"{probe}: how many probes it matches is not known beforehand"
        elif number > MOST_MATCHES:
            yield f"{probe} matches {number} probes here, {MOST_MATCHES} are the most"
        elif number == 0:
            yield f"{probe} matches no probe here"
