"""Whether a budget sees what a run costs: the share that it measures, and what a load lost meanwhile.

A load makes system calls as fast as one processor can, and a recipe that counts them is refused for that.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from runner.host.kernel import cpus_online
from tests.command import EBPF_RECIPE
from tests.laboratory.children import child
from tests.laboratory.pace import built, per_second, tenths
from tests.laboratory.releases import paths, release_of

FIRST_MOMENT_NS = 500_000_000
TENTH_NS = 100_000_000


def refused(pace: Path, bpftrace: str, cpu: int) -> str:
    """Return a row of the table."""
    taskset = shutil.which("taskset")
    assert taskset is not None
    argv = [taskset, "--cpu-list", str(cpu), str(pace), "syscall", "60"]
    with child(argv, stdout=subprocess.PIPE) as load:
        time.sleep(1)
        began = time.monotonic_ns()
        done = subprocess.run(
            [EBPF_RECIPE, "run", "syscount", "--budget", "1%", "--bpftrace", bpftrace, "-f", "json"],
            capture_output=True,
            check=False,
        )
        now, clock = datetime.now(UTC), time.monotonic_ns()
        time.sleep(2)
        load.terminate()
        said = tenths(load.communicate()[0].decode())
    capture = json.loads(done.stdout)
    window, use = capture["window"], capture["overhead"]["budget"]
    age = now - datetime.fromisoformat(window["attached_at"])
    attached = clock - round(age.total_seconds() * 1e9)
    before = per_second(one for one in said if one.ended_ns < began)
    # Tenths that lie in the first moment as a whole.
    inside = (attached + TENTH_NS, attached + FIRST_MOMENT_NS)
    during = per_second(one for one in said if inside[0] < one.ended_ns < inside[1])
    slow = sum(
        one.ns for one in said if one.ended_ns > attached and one.turns / one.ns < (before + during) / 2e9
    )
    after = per_second(one for one in said[-10:])
    lost = (1 - during / before) / cpus_online()
    cells = [
        release_of(bpftrace), str(cpu), f"{before:,.0f}", f"{during:,.0f}", f"{after:,.0f}",
        f"{use['first_moment_ratio']:.1%}", f"{lost:.1%}", f"{window['duration_seconds']:.2f} s",
        f"{slow / 1e9:.1f} s", str(done.returncode),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main(releases: list[str]) -> None:
    """Measure and print."""
    print("syscount --budget 1%, under a load of one processor")
    head = (
        "bpftrace", "processor", "calls/s before", "during", "after", "share measured", "lost by the load",
        "window", "the load was slow for", "exit",
    )  # fmt: skip
    print(f"| {' | '.join(head)} |")
    print("|---" * len(head) + "|")
    with tempfile.TemporaryDirectory() as folder:
        pace = built(Path(folder))
        for bpftrace in releases:
            for cpu in sorted({0, max(os.sched_getaffinity(0))}):
                print(refused(pace, bpftrace, cpu), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or paths())
