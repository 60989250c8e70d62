"""Programs to compare a recipe's with: the same probes with nothing in them, and no probe at all."""

import re

NOTHING = ""
"""What bpftrace needs for any program, the probe that shows when it is ready apart."""

_TOKEN = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|[{}]|[^{}"/]+|/')
"""A comment, a text, a brace, or what is none of them: braces in the first two are none."""
_PREDICATE = re.compile(r"\s/.*", re.DOTALL)


def without_bodies(program: str) -> str:
    """Return a program's probes, without predicates and with empty bodies.

    :raises ValueError: Its braces do not close.
    """
    heads, head, depth = [], "", 0
    for part in _TOKEN.findall(program):
        if part.startswith("//"):
            continue
        if part == "{":
            if depth == 0:
                heads.append(_PREDICATE.sub("", head).strip())
                head = ""
            depth += 1
        elif part == "}":
            depth -= 1
        elif depth == 0:
            head += part
    if depth != 0 or head.strip():
        raise ValueError(f"a program whose braces do not close: {head.strip()!r}")
    return "".join(f"{head} {{ }}\n" for head in heads)


def count_probes(program: str) -> int:
    """Return how many probes a program has."""
    return sum(line.count(",") + 1 for line in re.findall(r"[^{}]+\{ \}\n", without_bodies(program)))
