"""Which of a program's probes the kernel should have, by the names that the kernel gives them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_PROBE = re.compile(
    r"\b(?:tracepoint:\w+:(?P<event>\w+)|k(?:ret)?probe:(?P<function>\w+)"
    r'|u(?:ret)?probe:"?(?P<path>[^:\s"]+|(?<=")[^:"\n]+)"?:\S+)'
    r"(?=\s*[,/{\n])"
)


def missing_probes(program: str, attached: Iterable[str], links: Iterable[str] = ()) -> list[str]:
    """Return the probes of a program that are not attached; bpftrace 0.17 may say nothing of them.

    Wildcards are left out: what they match is bpftrace's to say. Of the probes of one file, their
    number is compared: the kernel names only the file.

    :param attached: What the kernel says that bpftrace's programs are attached to.
    :param links: Types of the links that attach them. Of a kprobe_multi or uprobe_multi few kernels say to
        which functions, and bpftrace makes one of a kprobe and the kretprobe of the same function where the
        kernel can (0.27, Linux 6.10): each stands for one that is not seen otherwise.
    """
    there = Counter(attached)
    wanted: Counter[str] = Counter()
    functions: set[str] = set()
    for match in _PROBE.finditer(_COMMENT.sub("", program)):
        path = match["path"]
        if path is None:
            wanted[match["event"] or match["function"]] = 1
            functions |= {match["function"]} - {None}
        elif "*" not in match[0] and path.startswith("/"):
            # A library that is named without its path is bpftrace's to find.
            wanted[path] += 1
    unsaid = Counter(link[:1] for link in links if link.endswith("_multi"))
    missing = {name: count - there[name] for name, count in wanted.items() if there[name] < count}
    of_files = {name for name in missing if "/" in name}
    of_functions = missing.keys() & functions
    if sum(missing[name] for name in of_files) <= unsaid["u"]:
        missing = {name: count for name, count in missing.items() if name not in of_files}
    if len(of_functions) <= unsaid["k"]:
        missing = {name: count for name, count in missing.items() if name not in of_functions}
    return sorted(
        f"{count} of {wanted[name]} in {name}" if "/" in name else name for name, count in missing.items()
    )
