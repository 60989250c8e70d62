"""What an ELF file says of its functions: symbols, where they lie in the file, whether Go made them."""

from __future__ import annotations

import bisect
import mmap
import struct
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SymbolKind = Literal["function", "indirect", "data", "unknown"]

_KINDS: Mapping[int, SymbolKind] = {0: "unknown", 2: "function", 10: "indirect"}
"""STT_NOTYPE, STT_FUNC and STT_GNU_IFUNC of the System V ABI."""

_GO_SECTIONS = {".note.go.buildid", ".gopclntab", ".go.buildinfo"}
_THROWING = ("__gxx_personality_v0", "__cxa_throw", "_Unwind_RaiseException", "rust_eh_personality")
"""What such code refers to, also where it is stripped: the personality of its frames, or what throws."""

_DEBUG_FILES = Path("/usr/lib/debug/.build-id")
_MACHINES = {
    "EM_X86_64": ("x86_64",),
    "EM_386": ("i686", "i586", "i486", "i386", "x86_64"),
    "EM_AARCH64": ("aarch64",),
    "EM_ARM": ("armv7l", "armv8l", "armv6l", "aarch64"),
    "EM_RISCV": ("riscv64",),
    "EM_PPC64": ("ppc64le", "ppc64"),
    "EM_S390": ("s390x",),
    "EM_LOONGARCH": ("loongarch64",),
}
"""What `uname -m` says on hosts that run a program, by the architecture of its file."""

_EXECUTABLE = 1
"""PF_X."""

_DATAREL_SDATA4 = 0x3B
"""DW_EH_PE_datarel | DW_EH_PE_sdata4 of the Linux Standard Base: how all linkers write that table."""


class NotElf(ValueError):
    """A file is no program and no library.

    :ivar head: Its first two bytes.
    """

    def __init__(self, message: str, *, head: bytes = b"") -> None:
        """Say why."""
        super().__init__(message)
        self.head = head


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol.

    :param address: In the file's own addresses, as `nm` shows it.
    :param size: In bytes; 0 where it is not known.
    :param is_defined: It is here, and not in another library.
    :param is_old: Only what was linked against an older release of the library is given it.
    """

    name: str
    address: int
    size: int
    kind: SymbolKind
    is_defined: bool
    is_old: bool = False

    def covers(self, address: int) -> bool:
        """Whether an address is inside of it."""
        return self.address <= address < self.address + self.size


@dataclass(frozen=True, slots=True)
class _Segment:
    address: int
    offset: int
    size: int
    is_code: bool


class Binary:
    """A program or library that was read.

    :ivar word_bytes: Of an address: 4 or 8.
    :ivar is_go: It was made by Go's compiler.
    :ivar build_id: In hexadecimal; empty where it has none.
    :ivar symbols: Of its separate debug file and of its own tables: those that bpftrace sees, in the order in
        which it does.
    """

    def __init__(self, path: Path, *, debug_files: Path = _DEBUG_FILES) -> None:
        """Read the file.

        :raises NotElf: It is none, or is damaged.
        :raises OSError: It cannot be read.
        """
        self._path = path
        try:
            with _opened(path) as stream:
                elf = ELFFile(stream)
                self._read(elf)
                own = list(_symbols(elf))
            debug = debug_files / self.build_id[:2] / f"{self.build_id[2:]}.debug"
            self.symbols: list[Symbol] = []
            if self.build_id and debug.is_file():
                with _opened(debug) as stream:
                    self.symbols += _symbols(ELFFile(stream))
            self.symbols += own
        # What its reader raises where numbers in the file are absurd.
        except (
            ELFError, struct.error, LookupError, AssertionError, AttributeError, ValueError, OverflowError
        ) as error:  # fmt: skip
            raise NotElf(str(error) or type(error).__name__, head=_head(path)) from error

    def _read(self, elf: Any) -> None:
        machine = elf.header["e_machine"]
        self.machines = _MACHINES.get(machine, (str(machine).removeprefix("EM_").lower(),))
        self.entry: int = elf.header["e_entry"]
        if elf.header["e_type"] not in ("ET_EXEC", "ET_DYN"):
            raise NotElf(f"it is an ELF file of type {elf.header['e_type']}")
        self.word_bytes: int = elf.elfclass // 8
        self.is_go = any(section.name in _GO_SECTIONS for section in elf.iter_sections())
        self.build_id = ""
        self._segments: list[_Segment] = []
        self._starts: list[tuple[int, int]] = []
        for segment in elf.iter_segments():
            head = segment.header
            match head["p_type"]:
                case "PT_LOAD":
                    is_code = bool(head["p_flags"] & _EXECUTABLE)
                    self._segments.append(
                        _Segment(head["p_vaddr"], head["p_offset"], head["p_filesz"], is_code)
                    )
                case "PT_NOTE":
                    for note in segment.iter_notes():
                        if note["n_type"] == "NT_GNU_BUILD_ID":
                            self.build_id = str(note["n_desc"])
                        self.is_go = self.is_go or note["n_name"] == "Go"
        for segment in elf.iter_segments("PT_GNU_EH_FRAME"):
            self._starts = _unwind_table(segment.data(), segment.header["p_vaddr"])

    def _bytes_at(self, address: int, size: int) -> bytes:
        for part in self._segments:
            if part.address <= address < part.address + part.size:
                with self._path.open("rb") as stream:
                    stream.seek(address - part.address + part.offset)
                    return stream.read(size)
        return b""

    @property
    def can_throw(self) -> bool:
        """Whether exceptions of C++ or panics of Rust may pass its functions."""
        return not self.by_name.keys().isdisjoint(_THROWING)

    @cached_property
    def by_name(self) -> Mapping[str, Sequence[Symbol]]:
        """Return the symbols of each name."""
        found: dict[str, list[Symbol]] = defaultdict(list)
        for symbol in self.symbols:
            found[symbol.name].append(symbol)
        return found

    def covering(self, address: int) -> list[Symbol]:
        """Return the symbols with a type that an address is inside of."""
        return [each for each in self.symbols if each.kind != "unknown" and each.covers(address)]

    def offset_of(self, address: int) -> int | None:
        """Return where in the file the code of an address is; None where no code is there."""
        return next(
            (
                address - part.address + part.offset
                for part in self._segments
                if part.is_code and part.address <= address < part.address + part.size
            ),
            None,
        )

    def bounds(self) -> tuple[int, int]:
        """Return the lowest and the highest address of code."""
        code = [part for part in self._segments if part.is_code] or [_Segment(0, 0, 1, is_code=True)]
        return code[0].address, code[-1].address + code[-1].size - 1

    def unwound_from(self, address: int) -> int | None:
        """Return where the function begins that an address is in, as the table for unwinding says.

        That table is there in stripped files too. None where it says nothing.
        """
        place = bisect.bisect_right(self._starts, (address, 1 << 65)) - 1
        if place < 0:
            return None
        start, entry = self._starts[place]
        # Length, distance to the common part, begin (relative) and size: an FDE of .eh_frame.
        head = self._bytes_at(entry, 16)
        size = int.from_bytes(head[12:16], "little") if len(head) == 16 else 0
        return start if address < start + size else None


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(2)
    except OSError:
        return b""


def _opened(path: Path) -> Any:
    """Return a file as memory: reading past its end is refused, and large ones are not copied."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _symbols(elf: Any) -> Iterator[Symbol]:
    is_wide = elf.elfclass == 64
    form = ("<" if elf.little_endian else ">") + ("IBBHQQ" if is_wide else "IIIBBH")
    versions = next((each.data() for each in elf.iter_sections("SHT_GNU_versym")), b"")
    for section in elf.iter_sections():
        kind = section.header["sh_type"]
        if kind not in ("SHT_SYMTAB", "SHT_DYNSYM"):
            continue
        texts = elf.get_section(section.header["sh_link"]).data()
        data = section.data()
        whole = len(data) - len(data) % struct.calcsize(form)
        for number, entry in enumerate(struct.iter_unpack(form, data[:whole])):
            if is_wide:
                place, info, _, index, address, size = entry
            else:
                place, address, size, info, _, index = entry
            name = texts[place : texts.index(b"\0", place)].decode(errors="replace")
            if name:
                yield Symbol(
                    name,
                    address,
                    size,
                    _KINDS.get(info & 15, "data"),
                    is_defined=index != 0,
                    is_old=kind == "SHT_DYNSYM" and _is_old(versions, number, elf.little_endian),
                )


def _is_old(versions: bytes, number: int, is_little: bool) -> bool:
    """Whether a symbol's version is not the default one (VERSYM_HIDDEN)."""
    own = versions[2 * number : 2 * number + 2]
    return len(own) == 2 and bool(own[1 if is_little else 0] & 0x80)


def _unwind_table(header: bytes, address: int) -> list[tuple[int, int]]:
    """Return where each function begins and where its entry in .eh_frame is, from .eh_frame_hdr."""
    if len(header) < 12 or header[0] != 1 or header[3] != _DATAREL_SDATA4:
        return []
    (count,) = struct.unpack_from("<I", header, 8)
    whole = min(count, (len(header) - 12) // 8)
    return sorted(
        (address + start, address + entry)
        for start, entry in struct.iter_unpack("<ii", header[12 : 12 + 8 * whole])
    )
