"""Names of the kernel's functions."""

from __future__ import annotations

import platform
from pathlib import Path

_TRACEABLE = Path("/sys/kernel/tracing/available_filter_functions")
_PREFIXES = ("__x64", "__ia32", "__do", "__arm64")


def system_call(name: str) -> str:
    """Return the kernel's function of a system call, by the name that it can be traced by; what it has on this machine where none can.

    One without arguments has a name for each interface, and the list of functions has one of them.
    """
    try:
        listed = _TRACEABLE.read_text().split("\n")
    except OSError:
        listed = []  # there is no such file, or, in a kernel that is locked down, nobody may read it
    names = [f"{prefix}_sys_{name}" for prefix in _PREFIXES]
    return next(
        (each for each in names if each in listed), names[-1 if platform.machine() == "aarch64" else 0]
    )
