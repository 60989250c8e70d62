"""What the kernel spends on a probe outside of our program, which its run times do not show.

A load does one thing as fast as it can, without a probe and with one that each turn hits. What a turn takes
longer is the whole cost of the probe; without the run time that the kernel counts, it is what lies around it.
The first processor is one of its own: bpftrace's event of a tracepoint is open there alone.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from runner.bpftrace.frame import frame_program
from runner.bpftrace.launch import direct_launcher
from runner.bpftrace.session import Session
from runner.bpftrace.version import find_bpftrace
from runner.host import bpf
from runner.host.probe_kinds import ProbeKind, probe_kinds
from tests.laboratory.pace import built, least_ns, tenths
from tests.laboratory.releases import paths, release_of

ROUNDS = 3
SECONDS = "0.35"
HERTZ = 9_999

FILTER = '/comm == "pace"/'

PROBES: tuple[tuple[str, ProbeKind, str, str], ...] = (
    ("a tracepoint", "tracepoint", "signal", "tracepoint:signal:signal_generate"),
    ("the entry of all system calls", "syscall", "syscall", "tracepoint:raw_syscalls:sys_enter"),
    ("their return", "syscall", "syscall", "tracepoint:raw_syscalls:sys_exit"),
    ("the entry of one system call", "syscall", "syscall", "tracepoint:syscalls:sys_enter_getppid"),
    ("another system call than those made", "syscall", "syscall", "tracepoint:syscalls:sys_enter_getuid"),
    ("the entry of a function", "uprobe", "function", "uprobe:{pace}:pace_function"),
    ("its return", "uretprobe", "function", "uretprobe:{pace}:pace_function"),
    (f"samples, {HERTZ} in a second", "timer", "spin", f"profile:hz:{HERTZ}"),
)
"""What is measured, its kind, what the load does meanwhile, and the probe."""


def nanoseconds(pace: Path, what: str) -> list[float]:
    """Return the nanoseconds that a turn of the load takes, on the first processor and on the last one."""
    taskset = shutil.which("taskset")
    assert taskset is not None
    taken = []
    for cpu in (0, max(os.sched_getaffinity(0))):
        argv = [taskset, "--cpu-list", str(cpu), str(pace), what, SECONDS]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        # Whatever else runs here makes it slower only.
        taken.append(least_ns(tenths(done.stdout)))
    return taken


def around(pace: Path, bpftrace: str, kind: ProbeKind, what: str, probe: str) -> list[float]:
    """Return the nanoseconds around a run of a program on each processor, and what statistics add to them.

    Per turn of the load, where the program never runs.
    """
    binary = find_bpftrace(bpftrace)
    program = f"{probe.format(pace=pace)} {FILTER} {{ @ = count(); }}"
    before = nanoseconds(pace, what)
    with Session(
        frame_program(program, limit_seconds=60), direct_launcher(binary.arguments(), {})
    ) as session:
        session.wait_ready()
        programs = bpf.program_descriptors(session.pid)
        kinds = probe_kinds(session.pid, programs)
        ours = [each for each, found in zip(programs, kinds, strict=True) if found == kind]
        during = nanoseconds(pace, what)
        with bpf.run_time_statistics():
            measured = nanoseconds(pace, what)
            each = [bpf.program_statistics(session.pid, one) for one in ours]
    after = nanoseconds(pace, what)
    runs, inside = sum(one.runs for one in each), sum(one.run_ns for one in each)
    mean = inside / runs if runs else 0.0
    costs = []
    for old, with_probe, new in zip(before, during, after, strict=True):
        longer = with_probe - min(old, new)
        # A sample interrupts a turn now and then: so many of them share what a second was longer.
        costs.append((longer / with_probe * 1e9 / HERTZ if kind == "timer" else longer) - mean)
    return [*costs, measured[-1] - during[-1]]


def main(releases: list[str]) -> None:
    """Print a table of medians."""
    print(
        f"ns around a run of a program: first processor / another / what statistics add; medians of {ROUNDS}"
    )
    print("| probe | kind | " + " | ".join(release_of(path) for path in releases) + " |")
    print("|---" * (len(releases) + 2) + "|")
    measured: dict[tuple[str, str], list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        pace = built(Path(folder))
        for _ in range(ROUNDS):
            for path in releases:
                for name, kind, what, probe in PROBES:
                    costs = around(pace, path, kind, what, probe)
                    measured.setdefault((name, path), []).append(costs)
    for name, kind, _, _ in PROBES:
        cells = []
        for path in releases:
            medians = [statistics.median(each) for each in zip(*measured[name, path], strict=True)]
            shown = medians[:2] if kind == "timer" else medians
            cells.append(" / ".join(f"{one:.0f}" for one in shown))
        print(f"| {name} | {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(sys.argv[1:] or paths())
