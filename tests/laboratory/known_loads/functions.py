"""Known loads of functions: one of the C library, and the kernel's behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.laboratory.kernel_functions import system_call
from tests.laboratory.known_loads.fixed import fixed
from tests.laboratory.known_loads.known_load import NAME, OWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.laboratory.known_loads.known_load import MakeLoad

_CALLS = 500
_FUNCTION = "getppid"
_TRACEPOINT = f"tracepoint:syscalls:sys_enter_{_FUNCTION}"


def _c_library() -> str:
    """Return the file of the C library that this process, and so the load, has mapped."""
    mapped = (line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines())
    return next(words[5] for words in mapped if len(words) == 6 and Path(words[5]).name.startswith("libc.so"))


_KINDS: dict[str, Callable[[], str]] = {
    "uprobe": lambda: f"{_c_library()}:{_FUNCTION}",
    "kprobe": lambda: system_call(_FUNCTION),
    "tracepoint": lambda: _TRACEPOINT,
}

KINDS: dict[str, tuple[str, ...]] = {
    "function-calls": ("uprobe", "kprobe", "tracepoint"),
    # A tracepoint has no end.
    "function-latency": ("uprobe", "kprobe"),
}
"""The kinds of probes that each recipe of functions makes, by what it is asked for."""


def load_of(recipe: str, kind: str) -> MakeLoad:
    """Return what makes the load of a recipe of functions: calls of one, each of them one call of the kernel's."""
    function = _KINDS[kind]()
    table = "calls" if recipe == "function-calls" else "latency"
    return fixed(
        (*OWN, "--function", function), ("calls", _CALLS), table, _CALLS, comm=NAME, function=function
    )
