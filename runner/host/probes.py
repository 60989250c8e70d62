"""Which probes this kernel has: from tracefs, or, for who may not read that, from its type information."""

import re
from collections.abc import Iterable
from pathlib import Path

from runner.host import btf

TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
_KPROBES = Path("/sys/bus/event_source/devices/kprobe")
_FIELD = re.compile(r"^\tfield:.*?(\w+)(?:\[[^\]]*\])?;", re.MULTILINE)


def tracefs_root(candidates: Iterable[Path] = TRACEFS) -> Path | None:
    """Return where tracefs is mounted and readable, or None."""
    for root in candidates:
        try:
            if (root / "events").is_dir():
                return root
        except PermissionError:
            continue
    return None


def probe_fields(probe: str, tracefs: Path | None) -> tuple[str, ...] | None:
    """Return the field names of a probe, or None where this kernel does not have it.

    :param probe: `tracepoint:category:name` or `kprobe:function`, without wildcards.
    :param tracefs: Where it is mounted, or None where it may not be read: then of some tracepoints
        the fields are not known, and are missing.
    """
    kind, _, rest = probe.partition(":")
    match kind:
        case "tracepoint":
            category, _, name = rest.partition(":")
            if tracefs is None:
                return btf.tracepoint_fields(name)
            return _tracepoint_fields(tracefs / "events" / category / name / "format")
        case "kprobe" | "kretprobe":
            return () if _is_traceable(rest, tracefs) else None
        case _:
            raise ValueError(f"no way to look for a probe of kind {kind!r}")


def _tracepoint_fields(description: Path) -> tuple[str, ...] | None:
    try:
        text = description.read_text()
    except OSError:
        return None
    return tuple(name for name in _FIELD.findall(text) if not name.startswith("common_"))


def _is_traceable(function: str, tracefs: Path | None) -> bool:
    # It is there only with CONFIG_KPROBE_EVENTS.
    if not _KPROBES.exists():
        return False
    try:
        if tracefs is not None:
            with (tracefs / "available_filter_functions").open() as functions:
                return any(line.split(maxsplit=1)[0] == function for line in functions)
    except OSError:
        pass  # CONFIG_FUNCTION_TRACER unset: any text symbol may be probed
    with Path("/proc/kallsyms").open() as symbols:
        return any(
            fields[2] == function and fields[1] in "tT" for fields in (line.split() for line in symbols)
        )
