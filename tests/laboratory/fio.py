"""fio on a device: loads of known sizes and counts, and the latencies that it measures itself."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Job:
    """What fio said of a job, once it ran."""

    said: Mapping[str, Any]

    def count(self, operation: str) -> int:
        """Return how many reads or writes it made."""
        return int(self.said[operation]["total_ios"])

    def total_ns(self, operation: str) -> float:
        """Return the sum of its completion latencies: from submitted to done, as it saw that."""
        found = self.said[operation]["clat_ns"]
        return float(found["mean"]) * int(found["N"])

    def quantile_us(self, operation: str, quantile: float) -> float:
        """Return a quantile of its completion latencies; its bins are a hundredth of a value wide or less."""
        bins = self.said[operation]["clat_ns"]["bins"]
        left = quantile * sum(bins.values())
        for bound, count in sorted((int(bound), count) for bound, count in bins.items()):
            left -= count
            if left <= 0:
                return bound / 1000
        raise AssertionError("an empty histogram")


def fio(device: str, output: Path, **options: str | int) -> str:
    """Return the shell command that runs one job of direct I/O on a device; it sleeps at both ends.

    :param output: Where fio writes what it measured; see `job_of`.
    :param options: Its own: `rw="randread"`, `number_ios=1000`. The same numbers give the same places.
    """
    given = {"name": "load", "filename": device, "direct": 1, "ioengine": "libaio", "randseed": 5, **options}
    words = [f"--{name}={value}" for name, value in given.items()]
    command = ["fio", "--output-format=json+", f"--output={output}", *words]
    return f"sleep 0.3; {shlex.join(command)}; sleep 0.3"


def job_of(output: Path) -> Job:
    """Return what fio wrote: of one job."""
    (job,) = json.loads(output.read_text())["jobs"]
    assert job["error"] == 0, job
    return Job(job)
