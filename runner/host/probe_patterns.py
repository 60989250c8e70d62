"""How many probes of this kernel a wildcard matches, from the lists that bpftrace itself reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from runner.host.probes import tracefs_root

if TYPE_CHECKING:
    from collections.abc import Iterator


def count_matches(probe: str, tracefs: Path | None = None) -> int | None:
    """Return how many probes a wildcard matches; None where this kernel has no list of that kind.

    :param probe: `tracepoint:category:name`, `kprobe:function` or `fentry:function` (and their returns), with
        `*`, `?` and `[…]` as bpftrace reads them.
    :param tracefs: Where it is mounted; looked for unless given.
    """
    root = tracefs or tracefs_root()
    kind, _, name = probe.partition(":")
    if root is None:
        return None
    try:
        match kind:
            case "tracepoint":
                names: Iterator[str] = _tracepoints(root)
            case "kprobe" | "kretprobe" | "fentry" | "fexit":
                names = _functions(root)
            case _:
                return None
        pattern = _pattern(name)
        return len({each for each in names if pattern.fullmatch(each)})
    except OSError:
        return None


def _pattern(name: str) -> re.Pattern[str]:
    parts = re.split(r"(\*|\?|\[[^\]]*\])", name)
    regular = {"*": ".*", "?": "."}
    return re.compile(
        "".join(part if part.startswith("[") else regular.get(part, re.escape(part)) for part in parts)
    )


def _tracepoints(tracefs: Path) -> Iterator[str]:
    for event in (tracefs / "events").glob("*/*/format"):
        yield f"{event.parent.parent.name}:{event.parent.name}"


def _functions(tracefs: Path) -> Iterator[str]:
    listed = tracefs / "available_filter_functions"
    if listed.exists():
        with listed.open() as lines:
            yield from (line.split(maxsplit=1)[0] for line in lines)
        return
    # CONFIG_FUNCTION_TRACER unset: any text symbol may be probed.
    with Path("/proc/kallsyms").open() as symbols:
        for fields in (line.split() for line in symbols):
            if fields[1] in "tT":
                yield fields[2]
