"""What a run costs the host: time inside our BPF programs, memory of maps, bpftrace's own CPU and memory."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from runner.host import bpf, processes

if TYPE_CHECKING:
    from runner.capture.document import Overhead

Extent = Literal["slices", "whole", "off"]

SLICE_SECONDS = 0.2
PERIOD_SECONDS = 2.0
"""One slice of statistics in each period: they slow every BPF program of the host, so not all the time."""


@dataclass(slots=True)
class _Sum:
    seconds: float = 0.0
    run_ns: int = 0
    runs: int = 0
    slices: int = 0


def others_cpu_ratio(seconds: float = SLICE_SECONDS) -> float:
    """Return how much of one processor the BPF programs of the host take now, ours not being there yet.

    :raises OSError: Not permitted (CAP_SYS_ADMIN), or a kernel before 5.8.
    """
    with bpf.run_time_statistics():
        begun, before = time.monotonic(), bpf.all_programs_run_ns()
        time.sleep(seconds)
        return (bpf.all_programs_run_ns() - before) / 1e9 / (time.monotonic() - begun)


class Meter:
    """Measures one bpftrace, from readiness to the end of the window."""

    def __init__(self, pid: int, *, extent: Extent) -> None:
        """Measure nothing yet.

        :param pid: bpftrace's process id.
        :param extent: Whether run times are counted in slices of the window, in all of it, or not.
        """
        self._pid = pid
        self._extent = extent
        self._sum = _Sum()
        self._over = threading.Event()
        self._why_not: str | None = None
        self._programs: list[str] = []
        self._thread: threading.Thread | None = None
        self.misses: dict[str, int] = {}
        """How often the kernel left a probe out, by the probe's event or function."""

    def start(self) -> None:
        """Begin; the window begins now."""
        try:
            self._programs = bpf.program_descriptors(self._pid)
        except OSError as error:
            self._why_not = f"not measured: {error.strerror}"
            return
        if self._extent != "off":
            self._thread = threading.Thread(target=self._measure, name="overhead", daemon=True)
            self._thread.start()

    def stop(self) -> Overhead:
        """End, while bpftrace still runs, and return the figures."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        map_bytes = None
        with contextlib.suppress(OSError):
            if self._why_not is None:
                map_bytes = bpf.map_bytes(self._pid)
                self._count_misses()
        usage = processes.usage_of(self._pid)
        total = self._sum
        was_measured = total.slices > 0
        return {
            "bpf_seconds": total.run_ns / 1e9 if was_measured else None,
            "probe_runs": total.runs if was_measured else None,
            "ns_per_run": round(total.run_ns / total.runs, 1) if total.runs else None,
            "cpu_ratio": round(total.run_ns / 1e9 / total.seconds, 9) if was_measured else None,
            "measured_seconds": round(total.seconds, 6) if was_measured else None,
            "map_bytes": map_bytes,
            "tracer_cpu_seconds": usage.cpu_seconds if usage else None,
            "tracer_rss_bytes": usage.peak_rss_bytes if usage else None,
            "covers": self._covers(),
        }

    def _count_misses(self) -> None:
        names = bpf.probe_names(self._pid)
        for program in self._programs:
            statistics = bpf.program_statistics(self._pid, program)
            if statistics.misses:
                name = names.get(statistics.identity, "")
                self.misses[name] = self.misses.get(name, 0) + statistics.misses

    def _covers(self) -> str:
        tracer = "tracer: bpftrace from its start to the end of the window"
        if self._sum.slices:
            return (
                "BPF: time inside this run's own programs, in measured_seconds of the window; a lower bound, "
                f"for entering and leaving a probe costs more. {tracer}"
            )
        return f"BPF: {self._why_not or 'not measured'}. {tracer}"

    def _measure(self) -> None:
        try:
            if self._extent == "whole":
                self._slice(None)
                return
            while not self._over.is_set():
                begun = time.monotonic()
                self._slice(SLICE_SECONDS)
                self._over.wait(max(0.0, PERIOD_SECONDS - (time.monotonic() - begun)))
        except OSError as error:
            self._why_not = f"not measured: {error.strerror}"

    def _slice(self, seconds: float | None) -> None:
        with bpf.run_time_statistics():
            begun = time.monotonic()
            before = self._now()
            self._over.wait(seconds)
            after = self._now()
            self._sum.seconds += time.monotonic() - begun
        self._sum.run_ns += after[0] - before[0]
        self._sum.runs += after[1] - before[1]
        self._sum.slices += 1

    def _now(self) -> tuple[int, int]:
        each = [bpf.program_statistics(self._pid, program) for program in self._programs]
        return sum(one.run_ns for one in each), sum(one.runs for one in each)
