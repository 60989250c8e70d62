"""A function that is asked for by its name: of a program or library, of the kernel; or a tracepoint.

Its words enter a program as attach points alone, and only after every character of them was looked at.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from markupsafe import Markup

from runner.errors import HostRefused
from runner.host.facts import location_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.capture.words import ByteOrder
    from runner.host.facts import FunctionPlace, HostFacts

FunctionKind = Literal["uprobe", "kprobe", "tracepoint"]

MOST_BYTES = 4096
"""PATH_MAX of include/uapi/linux/limits.h."""

# In quotes, each release of bpftrace takes a path of these as it stands. What is left out is an escape or the
# end of the quotes (\ "), a wildcard (* ? [ ]), the end of the path (:) or of a line, or is read otherwise by
# some release ({ } $).
_PATH = re.compile(r"/[A-Za-z0-9_./+@%=,~#()' -]*")
_LIBRARY = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*")
_ADDRESS = re.compile(r"0x[0-9a-f]{1,16}")
_KERNEL_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_TRACEPOINT = re.compile(r"\w+:\w+", re.ASCII)

_FRAMES_BY_STACK = ("x86_64", "aarch64")
"""Where bpftrace calls the stack pointer `sp`, and it is known how a return moves it."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function or tracepoint, as it was asked for.

    :param text: The words of the command line.
    :param path: Of the program or library; a name without a slash is a library's or program's.
    :param symbol: As the file spells it, or None where an address was given.
    """

    text: str
    kind: FunctionKind
    path: str = ""
    symbol: str | None = None
    address: int | None = None

    def condition(self, byteorder: ByteOrder, *expressions: str) -> str:  # noqa: ARG002
        """Refuse: a function is attached to, and compared with nothing.

        :raises TypeError: Always.
        """
        raise TypeError("a function has no condition: loop over the parameter")

    def json(self) -> str:
        """Return the words that it was asked for with."""
        return self.text

    @property
    def probe(self) -> str | None:
        """Return what a host is asked for: `kprobe:vfs_read`; None of a function of a file."""
        return None if self.kind == "uprobe" else f"{self.kind}:{self.symbol}"


def parse_function(text: str) -> Function:
    """Parse `PATH:SYMBOL`, `PATH:0xADDRESS`, `SYMBOL` (of the kernel) or `tracepoint:CATEGORY:NAME`."""
    if len(os.fsencode(text)) > MOST_BYTES:
        raise ValueError(f"longer than {MOST_BYTES} bytes")
    kind, colon, rest = text.partition(":")
    if colon and kind in ("uprobe", "uretprobe", "kprobe", "kretprobe", "fentry", "fexit", "usdt"):
        raise ValueError(f"without the word {kind}: what kind of probe it needs is known")
    # In names of Go's methods a star stands for itself: main.(*T).Do.
    if "*" in text.replace("(*", ""):
        raise ValueError("a wildcard names many functions: name each (ebpf-recipe probes finds them)")
    if kind == "tracepoint" and colon:
        if not _TRACEPOINT.fullmatch(rest):
            raise ValueError("not tracepoint:CATEGORY:NAME")
        return Function(text, "tracepoint", symbol=rest)
    if not colon:
        if "/" in text:
            raise ValueError("which function of that file? PATH:SYMBOL")
        if not _KERNEL_FUNCTION.fullmatch(text):
            raise ValueError("not the name of a kernel function, and no PATH:SYMBOL")
        return Function(text, "kprobe", symbol=text)
    path = re.sub("/+", "/", kind)
    if "/" in path and not path.startswith("/"):
        raise ValueError(f"a path begins with a slash: {os.path.abspath(path)}:{rest}")  # noqa: PTH100
    if not (_PATH if path.startswith("/") else _LIBRARY).fullmatch(path):
        raise ValueError(
            "the path has a character that not every bpftrace takes; of a process that runs it, "
            "/proc/PID/exe:SYMBOL names the same file"
        )
    if not rest:
        raise ValueError("the name of the function is missing: PATH:SYMBOL")
    if rest.startswith("0x"):
        lowered = rest.lower()
        if not _ADDRESS.fullmatch(lowered):
            raise ValueError("not an address of up to 16 hexadecimal digits")
        return Function(text, "uprobe", path, address=int(lowered, 16))
    if not rest.isprintable():
        raise ValueError("the name of a function is printable")
    return Function(text, "uprobe", path, symbol=rest)


def parse_called_function(text: str) -> Function:
    """Parse a function whose return is probed too, which a tracepoint does not have."""
    function = parse_function(text)
    if function.kind == "tracepoint":
        raise ValueError("a tracepoint is passed, and does not return")
    return function


@dataclass(frozen=True, slots=True)
class ProbedFunction:
    """What a template sees of one function in one file.

    :param index: Its place among those that were asked for: a key of type `function`.
    :param entry: The attach point where it is entered, or the tracepoint.
    :param returns: The one where it returns.
    :param is_meant: A condition: the process is one whose file this is.
    :param frame: What tells calls of one thread apart where it is entered, and `left_frame` the same
        where it returns; None where only their order does.
    """

    index: Markup
    entry: Markup
    returns: Markup
    is_meant: Markup
    frame: Markup | None
    left_frame: Markup | None


class Functions:
    """What a template sees of a parameter of type `function`: `{% for function in params.NAME %}`."""

    def __init__(self, functions: Sequence[Function], facts: HostFacts) -> None:
        """Find out where they are.

        :raises HostRefused: The host does not have one, or has to be asked where it is.
        """
        self._probed = [
            probed for place, function in enumerate(functions) for probed in _probed(place, function, facts)
        ]

    def __iter__(self) -> Iterator[ProbedFunction]:
        return iter(self._probed)

    def __str__(self) -> str:
        raise TypeError("functions have no text: loop over them, and use entry and returns of each")

    __repr__ = __str__
    __format__ = None  # type: ignore[assignment]


def _probed(index: int, function: Function, facts: HostFacts) -> Iterator[ProbedFunction]:
    """Return a function as a template sees it: once for each file that it is in.

    :raises HostRefused: See `Functions`.
    """
    if function.kind != "uprobe":
        check_probe(function, facts)
        yield _at(index, function.kind, str(function.symbol), (), (None, None))
        return
    places = facts.functions.get(function.text)
    if not places:
        yield _at(index, "uprobe", _as_written(function), (), _frames(facts.arch, 8))
        return
    for place in places:
        yield _at(index, "uprobe", _checked(place), place.pids, _frames(facts.arch, place.word_bytes))


def _at(
    index: int,
    kind: FunctionKind,
    point: str,
    pids: Sequence[int],
    frames: tuple[Markup, Markup] | tuple[None, None],
) -> ProbedFunction:
    # Every part of the attach point was compared with what may stand there; the rest are integers.
    return ProbedFunction(
        Markup(f"(uint64){index}"),  # noqa: S704
        Markup(f"{kind}:{point}"),  # noqa: S704
        Markup(f"{'uretprobe' if kind == 'uprobe' else 'kretprobe'}:{point}"),  # noqa: S704
        Markup("(" + " || ".join(f"pid == {pid:d}" for pid in pids) + ")" if pids else "1"),  # noqa: S704
        *frames,
    )


def _checked(place: FunctionPlace) -> str:
    """Return an attach point; the facts may come from a file, and a path from links in a container.

    :raises HostRefused: Not every bpftrace takes it.
    """
    location = place.location
    is_symbol = location_of(location.removeprefix('"').removesuffix('"')) == location
    if not _PATH.fullmatch(place.path) or not (is_symbol or _ADDRESS.fullmatch(location)):
        raise HostRefused(
            f"not every bpftrace takes the attach point {place.path!r}:{location}",
            hint="of a process that runs the file, /proc/PID/exe:SYMBOL names it too",
        )
    return f'"{place.path}":{location}'


def _as_written(function: Function) -> str:
    """Return the attach point where nobody looked into the file: it is on another host.

    :raises HostRefused: It has to be looked into.
    """
    location = f"0x{function.address:x}" if function.symbol is None else location_of(function.symbol)
    if location is None or not function.path.startswith("/"):
        raise HostRefused(
            f"{function.text}: where that is has to be looked up on the host itself",
            hint="give the path of the file and, of a name that bpftrace does not take, the address",
        )
    return f'"{function.path}":{location}'


def check_probe(function: Function, facts: HostFacts) -> None:
    """Refuse what the host was asked for and does not have.

    :raises HostRefused: It has no such function or tracepoint.
    """
    probe = function.probe
    if probe is None or facts.probes.get(probe, ()) is not None:
        return
    if function.kind == "tracepoint":
        category = str(function.symbol).partition(":")[0]
        raise HostRefused(
            f"the kernel has no {probe}",
            hint=f"ebpf-recipe probes 'tracepoint:{category}:*' lists what it has",
        )
    raise HostRefused(
        f"the kernel has no {probe}",
        hint=f"ebpf-recipe probes 'kprobe:*{function.symbol}*' lists what it has; "
        f"functions of programs are named with their file: PATH:{function.symbol}",
    )


def _frames(arch: str, word_bytes: int) -> tuple[Markup, Markup] | tuple[None, None]:
    """Return the frame of a call where it is entered and where it returns: the stack pointer.

    On x86 the return takes its address from the stack; elsewhere the address is in a register.
    """
    if arch not in _FRAMES_BY_STACK:
        return None, None
    popped = word_bytes if arch == "x86_64" else 0
    left = f'(uint64)reg("sp") - {popped}' if popped else '(uint64)reg("sp")'
    return Markup('(uint64)reg("sp")'), Markup(left)  # noqa: S704  # a number of bytes, ours
