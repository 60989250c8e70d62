"""`make bench`: what a table costs per event as recipes record it, beside bpftrace's own aggregation."""

import statistics
import subprocess
import sys

from runner.bpftrace.frame import frame_program
from runner.bpftrace.launch import direct_launcher
from runner.bpftrace.session import Session
from runner.bpftrace.version import find_bpftrace
from runner.capture.buckets import LogBuckets
from runner.capture.declaration import KeyDeclaration, Kind, TableDeclaration
from runner.host import bpf
from runner.recipe.recording import Recorder
from tests.laboratory.releases import paths, release_of

ROUNDS = 5
CALLS = 400_000
LOAD = f"import os\nn = os.open('/dev/null', 1)\nfor _ in range({CALLS}): os.write(n, b'x' * 100)"

BARE = {
    "hist(x)": "@t[(int64)tid] = hist(args->count);",
    "hist(x, 2)": "@t[(int64)tid] = hist(args->count, 2);",
    "max(x)": "@t[(int64)tid] = max(args->count);",
}


def recorded(kind: Kind) -> str:
    """Return how a recipe records a value by thread."""
    buckets = LogBuckets() if kind == "histogram" else None
    table = TableDeclaration("t", "@t", kind, "bytes", (KeyDeclaration("tid", "integer"),), buckets=buckets)
    return str(Recorder([table])("t", "args->count", tid="tid"))


OURS = {"histogram": recorded("histogram"), "max": recorded("max")}


def nanoseconds(bpftrace: str, statement: str) -> float:
    """Return the nanoseconds per run of a statement at each `write` of a load."""
    binary = find_bpftrace(bpftrace)
    with bpf.run_time_statistics():
        load = subprocess.Popen(
            [sys.executable, "-c", f"import sys\nsys.stdin.read(1)\n{LOAD}"], stdin=subprocess.PIPE
        )
        program = f"tracepoint:syscalls:sys_enter_write /pid == {load.pid}/ {{ {statement} }}"
        with Session(
            frame_program(program, limit_seconds=60), direct_launcher(binary.arguments(), {})
        ) as session:
            session.wait_ready()
            load.communicate(b"x")
            each = [bpf.program_statistics(session.pid, one) for one in bpf.program_descriptors(session.pid)]
        return max((one.run_ns / one.runs for one in each if one.runs >= CALLS), default=0.0)


def main() -> None:
    """Print a table of medians, the statements in turn."""
    rows = {**BARE, **{f"record() into a {name}": statement for name, statement in OURS.items()}}
    releases = paths()
    print(f"ns per event, medians of {ROUNDS}, in turn")
    print("| statement | " + " | ".join(release_of(path) for path in releases) + " |")
    print("|---" * (len(releases) + 1) + "|")
    measured: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for path in releases:
            for name, statement in rows.items():
                if name == "hist(x, 2)" and "hist-bits" not in find_bpftrace(path).features:
                    continue
                measured.setdefault((name, path), []).append(nanoseconds(path, statement))
    for name in rows:
        cells = [measured.get((name, path)) for path in releases]
        print(
            f"| {name} | "
            + " | ".join(f"{statistics.median(each):.0f}" if each else "" for each in cells)
            + " |"
        )


if __name__ == "__main__":
    main()
