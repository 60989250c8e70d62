"""Loads that investigations are tested on, each with causes that are known: `python -m tests.laboratory.scenarios`.

`… NAME -- COMMAND…` raises one, runs a command beside it, and prints what the load itself counted meanwhile. All need
root, run on two processors for as long as they are asked to, and leave nothing behind.
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.laboratory.file_scenarios import file_server, file_server_limited
from tests.laboratory.web_scenarios import api_server, healthy, idle_beside_hog, quota, two_causes

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Mapping, Sequence

    from tests.laboratory.scenario import Scenario

SCENARIOS: Mapping[str, Callable[[], contextlib.AbstractContextManager[Scenario]]] = {
    one.__name__: one
    for one in (api_server, file_server, file_server_limited, healthy, idle_beside_hog, quota, two_causes)
}


def _summary(taken_ns: Sequence[int]) -> str:
    """Return how many operations there were, and the median, the 99th of a hundred and the longest."""
    if not taken_ns:
        return "0"
    ordered = [each / 1e6 for each in sorted(taken_ns)]
    middle, high = statistics.median(ordered), ordered[len(ordered) * 99 // 100]
    return f"{len(ordered)}: median {middle:.2f} ms, p99 {high:.2f} ms, longest {ordered[-1]:.2f} ms"


def main() -> int:
    """Raise a scenario beside a command; return the exit code of that."""
    if len(sys.argv) < 4 or sys.argv[1] not in SCENARIOS or sys.argv[2] != "--":
        sys.exit(f"usage: python -m tests.laboratory.scenarios {'|'.join(SCENARIOS)} -- COMMAND...")
    # What was raised is taken down.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with SCENARIOS[sys.argv[1]]() as one:
        print(f"{one.symptom} {' '.join(one.filters)}", file=sys.stderr, flush=True)
        before = one.now()
        code = subprocess.run(sys.argv[3:], check=False).returncode
        counters, latencies = one.since(before)
    for name, value in counters.items():
        print(f"{name} {value}", file=sys.stderr)
    for kind, taken in latencies.items():
        print(f"{kind} {_summary(taken)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
