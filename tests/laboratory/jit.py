"""A process whose functions have names that only a just-in-time compiler, or an attacker, would give.

`python -m tests.laboratory.jit`: each function seeks once to the offset that is its number, for every line
on stdin; it answers `done` and lives until stdin ends. Their names are those of NAMES, in /tmp/perf-PID.map.
"""

import ctypes
import mmap
import os
import sys
from pathlib import Path

NAMES = (
    "f(unsigned int, char const*)", "@fake[1]: 5", 'q"uote\\back', "ünï 東", "a,8,9", "operator new(long) [x]",
    "LazyCompile:~g /srv/a b.js:3", "(whole)",
)  # fmt: skip

_STRIDE = 64
_DESCRIPTOR = 77


def _code(offset: int) -> bytes:
    """Return x86-64 code: push rbp, lseek(77, offset, 0), pop rbp, ret."""
    return (
        b"\x55\x48\x89\xe5"
         b"\xb8\x08\x00\x00\x00"
         b"\xbf" + _DESCRIPTOR.to_bytes(4, "little")
        + b"\xbe" + offset.to_bytes(4, "little")
        + b"\x31\xd2\x0f\x05\x5d\xc3"
    )  # fmt: skip


def main() -> None:
    """Make the functions, and call each of them whenever a line comes."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    for place in range(len(NAMES)):
        code = _code(place)
        page[place * _STRIDE : place * _STRIDE + len(code)] = code
    base = ctypes.addressof(ctypes.c_char.from_buffer(page))
    names = Path(f"/tmp/perf-{os.getpid()}.map")  # where perf and bpftrace look
    lines = [f"{base + place * _STRIDE:x} {_STRIDE:x} {name}\n" for place, name in enumerate(NAMES)]
    names.write_text("".join(lines), encoding="utf-8")
    functions = [ctypes.CFUNCTYPE(None)(base + place * _STRIDE) for place in range(len(NAMES))]
    try:
        for _ in sys.stdin:
            for function in functions:
                function()
            print("done", flush=True)
    finally:
        names.unlink()


if __name__ == "__main__":
    main()
