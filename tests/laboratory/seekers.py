"""Processes with difficult names that seek: `python -m tests.laboratory.seekers REPORT OFFSET …`.

Each name of NAMES is a process's; the n-th of them (from 0) makes every seek n + 1 times. What the kernel
then has in /proc/PID/comm, and how many system calls were made, is written to REPORT.
"""

import base64
import ctypes
import json
import os
import sys
from pathlib import Path

NAMES = (
    b"a b", b"a,b", b"a, b", b"(x)", b'q"uote', b"back\\slash", b"tab\ttab", "ünï".encode(),
    b"\xff\xfe\x80\xc3(\xa0\xa1\xe2\x28\xa1x\xf0y\x90", b"new\nline", b"@fake[1]: 5", b"@zzzz_end: 1",
    b'{"type": "map"', b"ab", b"None", b"15 bytes, whole",
)  # fmt: skip

_PR_SET_NAME = 15
_SYS_LSEEK = 8
_DESCRIPTOR = 77
_LIBC = ctypes.CDLL(None)


def seek(offset: int) -> None:
    """Seek to any 64-bit offset: the call is traced, and refused, for the descriptor is not open."""
    _LIBC.syscall(_SYS_LSEEK, _DESCRIPTOR, ctypes.c_uint64(offset % (1 << 64)), 0)


def main() -> None:
    """Start the processes, one after the other, and write the report."""
    report = []
    for place, name in enumerate(NAMES):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _LIBC.prctl(_PR_SET_NAME, name)
            comm = Path(f"/proc/{os.getpid()}/comm").read_bytes().removesuffix(b"\n")
            calls = 0
            for _ in range(place + 1):
                for offset in map(int, sys.argv[2:]):
                    seek(offset)
                    calls += 1
            line = json.dumps({"name": base64.b64encode(comm).decode(), "calls": calls})
            os.write(writing, line.encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            report.append(json.load(pipe))
        os.waitpid(child, 0)
    Path(sys.argv[1]).write_text(json.dumps(report))


if __name__ == "__main__":
    main()
