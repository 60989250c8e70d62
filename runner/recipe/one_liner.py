"""A bpftrace one-liner that counts into a map, taken apart: what a recipe needs to declare of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

HINT = "what can be: 'PROBE /CONDITION/ { @name[KEY, …] = count(); }', or sum, stats, hist, lhist"

DraftKind = Literal["count", "sum", "stats", "histogram"]
KeyKind = Literal["integer", "comm", "kernel-stack", "user-stack"]

_FORM = re.compile(
    r"(?P<probes>[^/{]+?)\s*(?:/(?P<condition>.*)/\s*)?"
    r"\{\s*@(?P<map>\w*)\s*(?:\[(?P<keys>.*)\])?\s*=\s*(?P<function>\w+)\((?P<arguments>.*)\)\s*;?\s*\}",
    re.DOTALL,
)
_PROBE = re.compile(r"tracepoint:\w+:\w+|k(?:ret)?probe:\w+")
_LONG = {"t:": "tracepoint:", "k:": "kprobe:", "kr:": "kretprobe:"}
_KINDS: dict[str, DraftKind] = {
    "count": "count", "sum": "sum", "avg": "stats", "stats": "stats",
    "hist": "histogram", "lhist": "histogram",
}  # fmt: skip
_TEXTS = re.compile(r"\b(?:str|ksym|usym|ntop|join|kaddr|strftime|buf)\s*\(|\b(?:probe|func|username)\b|\"")


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the map.

    :param expression: What the program reads it from; empty for what is no expression in a recipe.
    """

    name: str
    type: KeyKind
    expression: str = ""


@dataclass(frozen=True, slots=True)
class OneLiner:
    """What a one-liner counts.

    :param condition: Its predicate, without the slashes; empty where it has none.
    :param value: The expression that is summed or made a histogram of; None for a count.
    :param linear: Minimum, maximum and step of `lhist()`.
    """

    text: str
    probes: tuple[str, ...]
    condition: str
    map: str
    keys: tuple[Key, ...]
    kind: DraftKind
    value: str | None
    linear: tuple[int, int, int] | None = None


def parse_one_liner(text: str) -> OneLiner:
    """Take a one-liner apart.

    :raises ValueRefused: It is none of the form that can be.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None or re.search(r"\{[{%#]", text) or "@" in match["arguments"] or ";" in match["arguments"]:
        raise _refused(text, "it is not one probe with one map")
    kind = _KINDS.get(match["function"])
    if kind is None:
        raise _refused(text, f"{match['function']}() cannot be translated")
    if _TEXTS.search(match["keys"] or ""):
        raise _refused(text, "a key is a text: add it by hand, with include/words.bt.j2")
    arguments = [_modern(part) for part in _split(match["arguments"])]
    if (kind == "count") != (not arguments):
        raise _refused(text, f"{match['function']}() has {len(arguments)} arguments")
    linear = None
    if match["function"] == "lhist":
        linear = _linear(text, arguments)
    return OneLiner(
        text=" ".join(text.split()),
        probes=tuple(_probes(text, match["probes"])),
        condition=_modern((match["condition"] or "").strip()),
        map=match["map"].lower(),
        keys=tuple(_keys(_split(match["keys"] or ""))),
        kind=kind,
        value=arguments[0] if arguments else None,
        linear=linear,
    )


def _refused(text: str, why: str) -> ValueRefused:
    return ValueRefused(f"--from {text!r}: {why}", hint=HINT)


def _probes(text: str, given: str) -> Iterator[str]:
    for part in given.split(","):
        probe = part.strip()
        for short, name in _LONG.items():
            if probe.startswith(short):
                probe = name + probe.removeprefix(short)
        if not _PROBE.fullmatch(probe):
            why = "only tracepoints and kprobes, by their whole names"
            raise _refused(text, f"{probe} cannot be translated: {why}")
        yield probe


def _linear(text: str, arguments: list[str]) -> tuple[int, int, int]:
    try:
        minimum, maximum, step = (int(part) for part in arguments[1:])
    except ValueError:
        raise _refused(text, "lhist() takes a value, a minimum, a maximum and a step") from None
    if step <= 0 or maximum <= minimum or (maximum - minimum) % step or (maximum - minimum) // step > 1000:
        raise _refused(text, "from minimum to maximum there are 1 to 1000 whole steps")
    return minimum, maximum, step


def _split(text: str) -> list[str]:
    """Split at commas that stand in no brackets."""
    parts = [""]
    depth = 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _modern(expression: str) -> str:
    """Write fields as every release reads them: 0.17 has no `args.`."""
    return re.sub(r"\bargs\.", "args->", expression)


def _keys(expressions: list[str]) -> Iterator[Key]:
    taken: set[str] = set()
    for expression in map(_modern, expressions):
        if expression == "comm":
            key = Key("comm", "comm")
        elif re.fullmatch(r"[ku]stack(?:\(.*\))?", expression):
            side: KeyKind = "kernel-stack" if expression[0] == "k" else "user-stack"
            key = Key(side.replace("-", "_"), side)
        else:
            names = re.findall(r"[A-Za-z_]\w*", expression)
            name = next((each.lower().strip("_") for each in reversed(names)), "") or "key"
            while name in taken:
                name += "_2"
            key = Key(name, "integer", expression)
        taken.add(key.name)
        yield key
