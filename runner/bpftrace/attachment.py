"""Which of a program's probes the kernel should have, by the names that the kernel gives them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_PROBE = re.compile(
    r"\b(?:tracepoint:\w+:(?P<event>\w+)|k(?:ret)?probe:(?P<function>\w+)"
    r'|u(?:ret)?probe:"?(?P<path>[^:\s"]+|(?<=")[^:"\n]+)"?:\S+)'
    r"(?=\s*[,/{\n])"
)


def missing_probes(program: str, attached: Iterable[str], links: Collection[str] = ()) -> list[str]:
    """Return the probes of a program that are not attached; bpftrace 0.17 may say nothing of them.

    Wildcards are left out: what they match is bpftrace's to say. Of the probes of one file, their
    number is compared: the kernel names only the file.

    :param attached: What the kernel says that bpftrace's programs are attached to.
    :param links: Types of the links that attach them. Of a kprobe_multi or uprobe_multi few kernels say to
        which functions, and bpftrace makes one of a kprobe and the kretprobe of the same function where the
        kernel can (0.27, Linux 6.10): none is missed then.
    """
    there = Counter(attached)
    wanted: Counter[str] = Counter()
    for match in _PROBE.finditer(_COMMENT.sub("", program)):
        path = match["path"]
        if not match["event"] and any(link.startswith("u" if path else "k") for link in links):
            continue
        if path is None:
            wanted[match["event"] or match["function"]] = 1
        elif "*" not in match[0] and path.startswith("/"):
            # A library that is named without its path is bpftrace's to find.
            wanted[path] += 1
    return sorted(
        f"{count - there[name]} of {count} in {name}" if "/" in name else name
        for name, count in wanted.items()
        if there[name] < count
    )
