"""Where the functions are that somebody asked for by name: in which file, at which place of it."""

from __future__ import annotations

import ctypes
import difflib
import functools
import os
import platform
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import HostRefused, ValueRefused
from runner.host.elf import Binary, NotElf, Symbol
from runner.host.facts import FunctionPlace, location_of
from runner.host.libraries import find_binary
from runner.host.process_files import has_own_files, inside_of, mapped_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_ROOT = re.compile(r"(/proc/[0-9]+/root)(/.*)")
_MOST_NAMES = 100_000
"""More are only searched for the word itself: comparing them takes seconds."""

_MOST_NEAR = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """A function of a file, as it was asked for.

    :param text: The words of the command line.
    :param path: Of the file, or the name of a library or program.
    :param symbol: None where an address was given.
    :param returns: Where it returns is probed too.
    """

    text: str
    path: str
    symbol: str | None
    address: int | None
    returns: bool = False


def find_function(asked: Asked, pids: Sequence[int] = ()) -> tuple[FunctionPlace, ...]:
    """Return where a function is: in one file, or in several where processes have files of their own.

    :param pids: The processes that are meant; without them the host's own files are.
    :raises ValueRefused: It is not there; what is near is named.
    :raises HostRefused: It may not be looked for, or bpftrace cannot attach to it.
    """
    files: dict[tuple[int, int], tuple[str, list[int]]] = {}
    for path, pid in _paths(asked, pids):
        try:
            found = os.stat(path)  # noqa: PTH116  # the words of a path, not a Path
        except (FileNotFoundError, NotADirectoryError):
            raise ValueRefused(f"{asked.text}: there is no file {path}") from None
        except OSError as error:
            raise _refused(asked, path, error) from error
        _, seen_by = files.setdefault((found.st_dev, found.st_ino), (path, []))
        seen_by += [] if pid is None else [pid]
    places = tuple(
        replace(_place_in(path, asked), pids=tuple(dict.fromkeys(seen_by)))
        for path, seen_by in files.values()
    )
    return places if len(places) > 1 else (replace(places[0], pids=()),)


def _refused(asked: Asked, path: str, error: OSError) -> HostRefused | ValueRefused:
    if isinstance(error, PermissionError):
        return HostRefused(f"{asked.text}: {path} may not be read", hint="run it as root")
    return ValueRefused(f"{asked.text}: {path}: {error.strerror}")


def _paths(asked: Asked, pids: Sequence[int]) -> Iterator[tuple[str, int | None]]:
    """Return the file that each process has under a path; no process where the path says which file."""
    if "/" not in asked.path and not pids:
        path = find_binary(asked.path)
        if path is None:
            raise ValueRefused(
                f"{asked.text}: there is no library or program {asked.path!r} on this host",
                hint="name it with its path",
            )
        yield path, None
        return
    rooted = _ROOT.fullmatch(asked.path)
    if rooted is not None:
        yield inside_of(rooted[1], rooted[2]), None
        return
    if asked.path.startswith("/proc/") or not pids:
        yield asked.path, None
        return
    for pid in pids:
        try:
            path = asked.path
            if "/" not in path:
                mapped = mapped_file(pid, path)
                if mapped is None:
                    raise ValueRefused(
                        f"{asked.text}: process {pid} has no {path!r} in its memory",
                        hint=f"grep {path} /proc/{pid}/maps, and name it with its path",
                    )
                path = mapped
            yield inside_of(f"/proc/{pid}/root", path) if has_own_files(pid) else path, pid
        except FileNotFoundError:
            raise ValueRefused(f"--pid {pid}: there is no such process") from None
        except PermissionError:
            raise HostRefused(
                f"{asked.text}: the files of process {pid} may not be looked at", hint="run it as root"
            ) from None


@functools.lru_cache(maxsize=4)
def _binary(path: str, _identity: tuple[int, int, int]) -> Binary:
    """Return a file that is asked for several functions, read once."""
    return Binary(Path(path))


def _place_in(path: str, asked: Asked) -> FunctionPlace:
    try:
        if not Path(path).is_file():
            raise ValueRefused(f"{asked.text}: {path} is no regular file")
        found = Path(path).stat()
        binary = _binary(path, (found.st_dev, found.st_ino, found.st_mtime_ns))
    except NotElf as error:
        is_script = error.head.startswith(b"#!")
        what = f"no program and no library ({error})"
        raise ValueRefused(
            f"{asked.text}: {path} is {'a script, whose interpreter is the program' if is_script else what}"
        ) from error
    except OSError as error:
        raise _refused(asked, path, error) from error
    if platform.machine() not in binary.machines:
        raise ValueRefused(
            f"{asked.text}: {path} is for {binary.machines[0]}, and this host is {platform.machine()}"
        )
    if asked.returns and binary.is_go:
        raise ValueRefused(
            f"{asked.text}: {path} was made by Go, whose stacks move: a probe of a return would crash it",
            hint="function-calls counts its functions where they are entered",
        )
    if asked.symbol is not None:
        symbol = _symbol_of(binary, path, asked, asked.symbol)
        place = _of_symbol(binary, path, asked, symbol)
    else:
        assert asked.address is not None
        _check_address(binary, path, asked, asked.address)
        place = _of_address(binary, path, asked, asked.address)
    return replace(place, word_bytes=binary.word_bytes, build_id=binary.build_id, can_throw=binary.can_throw)


def _symbol_of(binary: Binary, path: str, asked: Asked, name: str) -> Symbol:
    """Return the one symbol of a name that is code of this file."""
    named = binary.by_name.get(name, ())
    here = [each for each in named if each.is_defined]
    current = [each for each in here if not each.is_old] or here
    code = [each for each in current if each.kind != "data" and binary.offset_of(each.address) is not None]
    if not named:
        raise _absent(binary, path, asked, name)
    if not here:
        raise ValueRefused(
            f"{asked.text}: {path} calls {name} in another library",
            hint=f"ldd {path} names its libraries: LIBRARY:{name}",
        )
    if not code:
        raise ValueRefused(f"{asked.text}: {name} is data of {path}, not a function")
    if any(each.kind == "indirect" for each in code):
        raise ValueRefused(
            f"{asked.text}: which code {name} stands for is chosen when a program starts (IFUNC), "
            f"and under this name is what chooses",
            hint="name the code that is chosen, for example by its address in the library's debug symbols",
        )
    addresses = sorted({each.address for each in code})
    if len(addresses) > 1:
        raise ValueRefused(
            f"{asked.text}: {path} has {len(addresses)} functions {name}",
            hint="name one by its address: "
            + ", ".join(f"{asked.path}:0x{address:x}" for address in addresses[:_MOST_NEAR]),
        )
    return code[0]


def _absent(binary: Binary, path: str, asked: Asked, name: str) -> ValueRefused:
    functions = {
        each.name for each in binary.symbols if each.is_defined and each.kind in ("function", "unknown")
    }
    if not functions:
        return ValueRefused(
            f"{asked.text}: {path} is stripped: it has no names of functions",
            hint="install its debug symbols, or name the function by its address: PATH:0xADDRESS",
        )
    near = ", ".join(_near(name, functions))
    return ValueRefused(
        f"{asked.text}: {path} has no function {name}",
        hint=f"there is {near}" if near else f"ebpf-recipe probes 'uprobe:{path}:*' lists what it has",
    )


def _near(name: str, known: Iterable[str]) -> list[str]:
    """Return names like one; of C++ with what they mean."""
    meant = _demangler()
    shown = {each: meant(each) for each in known}
    same = [each for each, text in shown.items() if text == name or text.partition("(")[0] == name]
    word = name.lower()
    within = sorted((each for each, text in shown.items() if word in text.lower()), key=len)
    like = difflib.get_close_matches(name, list(shown), _MOST_NEAR) if len(shown) < _MOST_NAMES else []
    found = list(dict.fromkeys([*same, *like, *within]))[:_MOST_NEAR]
    return [each if shown[each] == each else f"{each} ({shown[each]})" for each in found]


class _Demangler:
    """Says what a C++ symbol means, by the C++ library's own function."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._demangle = library["__cxa_demangle"]
        self._demangle.restype = ctypes.c_void_p
        self._free = ctypes.CDLL(None).free
        self._free.argtypes = [ctypes.c_void_p]

    def __call__(self, symbol: str) -> str:
        if not symbol.startswith("_Z"):
            return symbol
        text = self._demangle(symbol.encode(), None, None, None)
        if not text:
            return symbol
        try:
            return ctypes.string_at(text).decode(errors="replace")
        finally:
            self._free(text)


def _demangler() -> _Demangler | type[str]:
    try:
        return _Demangler(ctypes.CDLL("libstdc++.so.6"))
    except (OSError, AttributeError):
        return str  # not installed: the symbols as they stand


def _check_address(binary: Binary, path: str, asked: Asked, address: int) -> None:
    """Refuse an address that is not where a function begins: a probe inside an instruction crashes."""
    if binary.offset_of(address) is None:
        low, high = binary.bounds()
        raise ValueRefused(
            f"{asked.text}: there is no code of {path} at 0x{address:x}",
            hint=f"its code is from 0x{low:x} to 0x{high:x}, as nm and objdump show addresses",
        )
    covering = [each for each in binary.covering(address) if each.kind == "function"]
    begin = covering[0].address if covering else binary.unwound_from(address)
    if begin is not None and begin != address and not any(each.address == address for each in covering):
        name = f" {covering[0].name}" if covering else ""
        raise ValueRefused(
            f"{asked.text}: 0x{address:x} is in the middle of the function{name} of {path}",
            hint=f"it begins at {asked.path}:0x{begin:x}",
        )
    named = any(each.address == address and each.kind != "data" for each in binary.symbols)
    if not named and address not in (begin, binary.entry):
        raise ValueRefused(
            f"{asked.text}: neither symbols nor unwind tables of {path} say that a function begins at "
            f"0x{address:x}, and a probe inside an instruction crashes the program",
            hint="install its debug symbols, or name a function by its symbol",
        )


def _of_symbol(binary: Binary, path: str, asked: Asked, symbol: Symbol) -> FunctionPlace:
    first = binary.by_name[symbol.name][0]
    if symbol.kind == "function" and symbol.size and first.address == symbol.address:
        location = location_of(symbol.name)
        if location is not None:
            return FunctionPlace(path, location)
    return _of_address(binary, path, asked, symbol.address)


def _of_address(binary: Binary, path: str, asked: Asked, address: int) -> FunctionPlace:
    """Return what bpftrace takes for an address.

    Inside a symbol that it knows it is the address, which bpftrace takes to the symbol's name and back: so
    the name has to be the only one. Elsewhere every release takes the number for an offset in the file.
    """
    if covering := binary.covering(address):
        if any(binary.by_name[each.name][0].address != each.address for each in covering):
            raise HostRefused(
                f"{asked.text}: {path} has several functions {covering[0].name}, and bpftrace would attach "
                "to the first of them"
            )
        return FunctionPlace(path, f"0x{address:x}")
    offset = binary.offset_of(address)
    assert offset is not None
    if binary.covering(offset):
        raise HostRefused(
            f"{asked.text}: no symbol of {path} is at 0x{address:x}, and bpftrace would take its place in "
            f"the file (0x{offset:x}) for an address in {binary.covering(offset)[0].name}",
            hint="install its debug symbols",
        )
    return FunctionPlace(path, f"0x{offset:x}", is_unsafe=True)
