"""Which families of probes this kernel has: each found by a feature that is there or not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from runner.host.kernel_config import KernelConfig


@dataclass(frozen=True, slots=True)
class Family:
    """A family of probes on this host.

    :param is_there: Whether the kernel has it; None where that could not be found out.
    :param evidence: What was looked at, and what it said.
    :param options: Options of the kernel's build without which it is not there.
    :param sysctl: The setting that brings it back, where only that keeps it away.
    """

    name: str
    is_there: bool | None
    evidence: str
    options: tuple[str, ...]
    sysctl: str | None = None


# Kinds of events that perf knows, each with an option of its own; any user may look.
_EVENT_SOURCES = {
    "tracepoint": ("tracepoint", ("CONFIG_BPF_EVENTS", "CONFIG_TRACEPOINTS")),
    "rawtracepoint": ("tracepoint", ("CONFIG_BPF_EVENTS", "CONFIG_TRACEPOINTS")),
    "kprobe": ("kprobe", ("CONFIG_KPROBES", "CONFIG_KPROBE_EVENTS")),
    "uprobe": ("uprobe", ("CONFIG_UPROBES", "CONFIG_UPROBE_EVENTS")),
    "profile": ("software", ("CONFIG_PERF_EVENTS",)),
}
_FENTRY_OPTIONS = (
    "CONFIG_FUNCTION_TRACER",
    "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
    "CONFIG_DEBUG_INFO_BTF",
)


def probe_families(root: Path, config: KernelConfig | None) -> list[Family]:
    """Return each family of probes, and whether it is there.

    :param root: Below it are `proc` and `sys`.
    :param config: How the kernel was built, where that is known.
    """
    found = [_by_event_source(root, config, name, *where) for name, where in _EVENT_SOURCES.items()]
    return [*found, _usdt(root, config), _fentry(root, config)]


def _by_event_source(
    root: Path, config: KernelConfig | None, name: str, source: str, options: tuple[str, ...]
) -> Family:
    devices = root / "sys/bus/event_source/devices"
    if not devices.is_dir():
        return Family(name, None, f"/{devices.relative_to(root)} is not there to look at", options)
    path = devices / source
    shown = f"/{path.relative_to(root)}"
    if not path.exists():
        return Family(name, False, f"{shown} is missing{_unset(config, options)}", options)
    if config is not None and not all(config.has(option) for option in options):
        return Family(name, False, f"{shown} is there, but{_unset(config, options)}", options)
    return Family(name, True, f"{shown} is there", options)


def _usdt(root: Path, config: KernelConfig | None) -> Family:
    uprobe = _by_event_source(root, config, "usdt", *_EVENT_SOURCES["uprobe"])
    # Probes behind a semaphore are switched on by the kernel itself, where it can.
    path = root / "sys/bus/event_source/devices/uprobe/format/ref_ctr_offset"
    if uprobe.is_there and not path.exists():
        evidence = f"{uprobe.evidence}; without ref_ctr_offset, probes behind a semaphore stay silent"
        return replace(uprobe, evidence=evidence)
    return uprobe


def _fentry(root: Path, config: KernelConfig | None) -> Family:
    # CONFIG_FUNCTION_TRACER makes this file; fentry hangs on its calls.
    switch = root / "proc/sys/kernel/ftrace_enabled"
    if not (root / "sys/kernel/btf/vmlinux").exists():
        return Family("fentry", False, "/sys/kernel/btf/vmlinux is missing", _FENTRY_OPTIONS)
    if config is not None:
        is_there = all(config.has(option) for option in _FENTRY_OPTIONS)
        said = _unset(config, _FENTRY_OPTIONS) or f" {config.path} has {', '.join(_FENTRY_OPTIONS)}"
        if not is_there:
            return Family("fentry", False, said.strip(" ;"), _FENTRY_OPTIONS)
    try:
        is_on = switch.read_text().strip() == "1"
    except FileNotFoundError:
        return Family("fentry", False, "/proc/sys/kernel/ftrace_enabled is missing", _FENTRY_OPTIONS)
    except OSError as error:
        evidence = f"/proc/sys/kernel/ftrace_enabled: {error.strerror}"
        return Family("fentry", None, evidence, _FENTRY_OPTIONS)
    evidence = f"BTF is there, /proc/sys/kernel/ftrace_enabled is {1 if is_on else 0}"
    return Family("fentry", is_on, evidence, _FENTRY_OPTIONS, None if is_on else "kernel.ftrace_enabled=1")


def _unset(config: KernelConfig | None, options: tuple[str, ...]) -> str:
    if config is None:
        return ""
    unset = [option for option in options if not config.has(option)]
    return f"; {config.path} has no {', '.join(unset)}" if unset else ""
