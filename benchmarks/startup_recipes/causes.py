"""What bpftrace does on its way to attached probes, as strace sees it: files that it reads, compilers."""

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from runner.bpftrace.launch import clean_environment
from runner.bpftrace.version import Bpftrace

FILES = {
    "available_events": "the list of all tracepoints",
    "available_filter_functions": "the list of all functions that can be traced",
    "kallsyms": "the kernel's symbols",
    "btf/vmlinux": "the kernel's types (BTF)",
}
"""What is counted, by the end of its path."""

PARSES = "runs of libclang over C definitions"
COMPILER = "starts of a clang binary"

_OPENED = re.compile(r'openat\([^,]+, "([^"]+)".* = \d+$')
_DRIVEN = re.compile(r'^(\d+) .*"[^"]*lib/gcc[/"]')
"""libclang looks for a compiler's headers here; each run of it is a thread of its own."""
_STARTED = re.compile(r'execve\("([^"]+)".* = 0$')


def counted(program: str, bpftrace: Bpftrace) -> dict[str, int] | None:
    """Return how often bpftrace reads each of those files, and runs clang; None where strace is not there."""
    strace = shutil.which("strace")
    if strace is None:
        return None
    head, variables = bpftrace.settings(max_map_keys=16384, buffer_pages=None)
    with tempfile.TemporaryDirectory() as folder:
        seen, source = Path(folder) / "seen", Path(folder) / "program.bt"
        source.write_text(f"{head}BEGIN {{ exit(); }} {program}")
        argv = [str(bpftrace.path), "-q", "-f", "json", str(source)]
        subprocess.run(
            [strace, "-f", "-qq", "-e", "trace=openat,execve", "-o", seen, *argv],
            capture_output=True,
            check=False,
            env=clean_environment(variables),
        )
        lines = seen.read_text(errors="replace").splitlines()
    found: Counter[str] = Counter()
    drivers, compilers = set(), set()
    for line in lines:
        opened = _OPENED.search(line)
        if opened is not None:
            found.update(name for name in FILES if opened[1].endswith(name))
        started = _STARTED.search(line)
        if started is not None and "clang" in Path(started[1]).name:
            compilers.add(line.partition(" ")[0])
        driven = _DRIVEN.match(line)
        if driven is not None:
            drivers.add(driven[1])
    found[COMPILER] = len(compilers)
    found[PARSES] = len(drivers - compilers)
    return dict(found)
