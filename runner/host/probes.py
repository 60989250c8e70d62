"""Which probes this kernel has: from tracefs, or, for who may not read that, from its type information."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from runner.host import btf, kernel

TRACEFS = (Path("/sys/kernel/tracing"), Path("/sys/kernel/debug/tracing"))
_KPROBES = Path("/sys/bus/event_source/devices/kprobe")
"""There only with CONFIG_KPROBE_EVENTS."""
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

    :param probe: `tracepoint:category:name`, `kprobe:function` or `fentry:function` (and their returns),
        without wildcards.
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
            return () if _KPROBES.exists() and _is_traceable(rest, tracefs) else None
        case "fentry" | "fexit":
            return () if _takes_fentry() and _is_traceable(rest, tracefs) and _is_described(rest) else None
        case _:
            raise ValueError(f"no way to look for a probe of kind {kind!r}")


def _tracepoint_fields(description: Path) -> tuple[str, ...] | None:
    try:
        text = description.read_text()
    except OSError:
        return None
    return tuple(name for name in _FIELD.findall(text) if not name.startswith("common_"))


@cache
def _takes_fentry() -> bool:
    """Whether programs can stand around functions; asked of the kernel itself where we may ask it."""
    # Most recipes ask for no fentry, and wait for none of it.
    from runner.host.families import probe_families  # noqa: PLC0415
    from runner.host.kernel_config import read_kernel_config  # noqa: PLC0415
    from runner.host.trials import try_fentry  # noqa: PLC0415

    root = Path("/")
    family = next(each for each in probe_families(root, read_kernel_config(root)) if each.name == "fentry")
    return family.is_there is not False and (not kernel.is_root() or try_fentry() == 0)


def _is_described(function: str) -> bool:
    from runner.host.btf_types import kernel_types  # noqa: PLC0415

    types = kernel_types()
    return types is not None and function in types.functions


def _is_traceable(function: str, tracefs: Path | None) -> bool:
    listed = _filter_functions(tracefs) if tracefs is not None else None
    if listed is not None:
        # A function of a module has its name behind it: `nf_confirm [nf_conntrack]`.
        return f"\n{function}\n" in listed or f"\n{function} " in listed
    # CONFIG_FUNCTION_TRACER unset: any text symbol may be probed.
    with Path("/proc/kallsyms").open() as symbols:
        return any(
            fields[2] == function and fields[1] in "tT" for fields in (line.split() for line in symbols)
        )


@cache
def _filter_functions(tracefs: Path) -> str | None:
    """Return the functions that can be traced, each after a newline: some ten thousand lines."""
    try:
        return "\n" + (tracefs / "available_filter_functions").read_text()
    except OSError:
        return None
