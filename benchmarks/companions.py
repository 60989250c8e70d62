"""What companions cost: one reading of them, and a run with them and without, taken in turn."""

import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import datetime

from runner.companions import CompanionWatch
from tests.laboratory.children import child
from tests.laboratory.releases import paths

READINGS = 200
ROUNDS = 12
PROCESSES = 200

RUN = "import sys; from runner.cli.main import main; sys.exit(main(sys.argv[1:]))"
WITHOUT = """
import runner.companions as companions
class Nothing(companions.CompanionWatch):
    look = begin = end = lambda self: None
companions.CompanionWatch = Nothing
"""


def reading() -> tuple[float, float, float]:
    """Return the median and the greatest of many readings, and how long it took to find what to read."""
    own = os.getpid()
    watch = CompanionWatch(lambda holder: holder.name == b"sleep" or holder.pid == own)
    begun = time.perf_counter()
    watch.look()
    found = time.perf_counter() - begun
    times = []
    for _ in range(READINGS):
        begun = time.perf_counter()
        watch.begin()
        times.append(time.perf_counter() - begun)
    watch.companions()
    return statistics.median(times), max(times), found


def run(bpftrace: str, before: str) -> tuple[float, float]:
    """Return the seconds of a run of a command, and those from the last probe's attachment to its start."""
    argv = ["run", "tcp-retrans", "--comm", "python*", "--bpftrace", bpftrace, "--", "date", "+%s.%N"]
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", before + RUN, *argv], capture_output=True, text=True, check=True
    )
    seconds = time.perf_counter() - begun
    attached = datetime.fromisoformat(json.loads(done.stdout)["window"]["attached_at"]).timestamp()
    started = next(float(line) for line in done.stderr.splitlines() if line.replace(".", "").isdigit())
    return seconds, started - attached


def main() -> None:
    """Measure and print."""
    median, most, found = reading()
    shown = f"median {median * 1e3:.2f} ms, at most {most * 1e3:.2f} ms; finding {found * 1e3:.1f} ms"
    print(f"one reading: {shown}, while bpftrace starts")
    with ExitStack() as stack:
        for number in range(PROCESSES):
            namespace = ["unshare", "--net"] if number < 4 else []
            stack.enter_context(child([*namespace, "sleep", "60"]))
        time.sleep(1)
        median, most, found = reading()
    shown = f"median {median * 1e3:.2f} ms, at most {most * 1e3:.2f} ms; finding {found * 1e3:.1f} ms"
    print(f"of {PROCESSES} processes, 4 of them in networks of their own: {shown}")
    for bpftrace in paths()[:1]:
        differences = []
        for number in range(ROUNDS):
            # Neither is always the first of the two.
            kinds = ["", WITHOUT] if number % 2 else [WITHOUT, ""]
            taken = {kind: run(bpftrace, kind) for kind in kinds}
            differences.append([a - b for a, b in zip(taken[""], taken[WITHOUT], strict=True)])
        whole, delay = (statistics.median(each) * 1e3 for each in zip(*differences, strict=True))
        print(
            f"a run with them takes {whole:+.0f} ms (median of {ROUNDS} differences), and starts its command "
            f"{delay:+.1f} ms after the probes are attached"
        )


if __name__ == "__main__":
    main()
