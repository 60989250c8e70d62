"""Every tracepoint and function of this kernel that can be probed, and what each passes."""

from __future__ import annotations

import re
from pathlib import Path

from runner.host.btf_types import Argument, kernel_types, module_types

_FIELD = re.compile(r"^\tfield:(.*?)\s*(\w+)(\[[^\]]*\])?;", re.MULTILINE)
_FUNCTION = re.compile(r"^(\S+)(?: \[(\w+)\])?", re.MULTILINE)
_TEXT_SYMBOL = re.compile(r"^\w+ [tT] (\w+)(?:\t\[(\w+)\])?$", re.MULTILINE)
_KALLSYMS = Path("/proc/kallsyms")


def tracepoints(tracefs: Path) -> list[tuple[str, str]]:
    """Return every tracepoint, as its category and name, sorted."""
    return sorted(
        (path.parent.parent.name, path.parent.name) for path in (tracefs / "events").glob("*/*/format")
    )


def described_tracepoints() -> list[str]:
    """Return the names of tracepoints that the kernel's type information has; any user may ask.

    It has neither their categories nor those of system calls.
    """
    types = kernel_types()
    return sorted(types.tracepoints()) if types is not None else []


def tracepoint_fields(tracefs: Path, category: str, name: str) -> list[Argument] | None:
    """Return the fields of a tracepoint and their types as tracefs tells them, or None where it is gone."""
    try:
        text = (tracefs / "events" / category / name / "format").read_text()
    except OSError:
        return None
    return [
        (field, f"{type_of}{size}")
        for type_of, field, size in _FIELD.findall(text)
        if not field.startswith("common_")
    ]


def described_fields(name: str) -> list[Argument] | None:
    """Return the fields of a tracepoint as the kernel's type information tells them, or None."""
    types = kernel_types()
    return types.tracepoint_fields(name) if types is not None else None


def raw_arguments(name: str) -> list[Argument] | None:
    """Return what a raw tracepoint passes, or None where it is not known; names may be empty."""
    types = kernel_types()
    return types.tracepoint_arguments(name) if types is not None else None


def traceable_functions(tracefs: Path | None) -> tuple[dict[str, str], bool]:
    """Return the functions that can be probed with their modules, and whether all of them can.

    :param tracefs: Where it is mounted; None where it may not be read: then any function of the kernel's
        code is named, and some of them are not to be probed.
    """
    if tracefs is not None:
        try:
            text = (tracefs / "available_filter_functions").read_text()
        except OSError:
            pass  # no function tracer, or a kernel that keeps it to itself
        else:
            return dict(_FUNCTION.findall(text)), True
    try:
        return dict(_TEXT_SYMBOL.findall(_KALLSYMS.read_text())), False
    except OSError:
        return {}, False


def function_arguments(function: str, module: str) -> list[Argument] | None:
    """Return a function's arguments, or None where they are not known.

    :param module: Its module, or nothing for the kernel itself.
    """
    types = module_types(module) if module else kernel_types()
    return types.arguments(function) if types is not None else None


def function_returns(function: str, module: str) -> str | None:
    """Return the type of what a function returns, or None where it is not known."""
    types = module_types(module) if module else kernel_types()
    return types.returns(function) if types is not None else None
