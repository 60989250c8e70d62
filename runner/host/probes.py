"""Which probes this kernel has, read from tracefs."""

import re
from collections.abc import Iterable
from pathlib import Path

TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
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


def probe_fields(probe: str, tracefs: Path) -> tuple[str, ...] | None:
    """Return the field names of a probe, or None where this kernel does not have it.

    :param probe: `tracepoint:category:name` or `kprobe:function`, without wildcards.
    """
    kind, _, rest = probe.partition(":")
    match kind:
        case "tracepoint":
            category, _, name = rest.partition(":")
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


def _is_traceable(function: str, tracefs: Path) -> bool:
    # kprobe_events is there only with CONFIG_KPROBE_EVENTS.
    if not (tracefs / "kprobe_events").exists():
        return False
    try:
        with (tracefs / "available_filter_functions").open() as functions:
            return any(line.split(maxsplit=1)[0] == function for line in functions)
    except OSError:
        pass  # CONFIG_FUNCTION_TRACER unset: any text symbol may be probed
    with Path("/proc/kallsyms").open() as symbols:
        return any(
            fields[2] == function and fields[1] in "tT" for fields in (line.split() for line in symbols)
        )
