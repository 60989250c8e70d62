"""What a run costs the host: time inside our BPF programs, memory of maps, bpftrace's own CPU and memory."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from runner.host import bpf, processes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.capture.document import Overhead

Extent = Literal["slices", "whole", "off"]

SLICE_SECONDS = 0.2
PERIOD_SECONDS = 2.0
"""One slice of statistics in each period: they slow every BPF program of the host, so not all the time."""


@dataclass(frozen=True, slots=True)
class Slice:
    """What the kernel counted of our programs in a part of the window.

    :param seconds: How long it was.
    :param run_ns: Nanoseconds in each program, in the order of `SliceWatch.begin`.
    :param runs: Likewise, how often each ran.
    :param is_last: The window is over, and may have cut it short.
    """

    seconds: float
    run_ns: Sequence[int]
    runs: Sequence[int]
    is_last: bool


class SliceWatch(Protocol):
    """Who is told of each slice as soon as it is over, and says when the next one is to be.

    All of it is called from the thread that measures.
    """

    first_seconds: float
    """How long the first slice is, which begins with the window."""

    def begin(self, programs: Sequence[str]) -> None:
        """Take the descriptors of the programs; the first slice begins now."""

    def take(self, one: Slice) -> float:
        """Take a slice; return the seconds from its beginning to that of the next one."""

    def failed(self, error: OSError) -> None:
        """Nothing can be measured, or no longer."""


@dataclass(slots=True)
class _Sum:
    seconds: float = 0.0
    run_ns: int = 0
    runs: int = 0
    slices: int = 0

    def add(self, one: Slice) -> None:
        self.seconds += one.seconds
        self.run_ns += sum(one.run_ns)
        self.runs += sum(one.runs)
        self.slices += 1


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

    def __init__(self, pid: int, *, extent: Extent, watch: SliceWatch | None = None) -> None:
        """Measure nothing yet.

        :param pid: bpftrace's process id.
        :param extent: Whether run times are counted in slices of the window, in all of it, or not.
        :param watch: Who is told of each slice.
        """
        self._pid = pid
        self._extent = extent
        self._watch = watch
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
            self._fail(error)
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
            if self._watch is not None:
                self._measure_for(self._watch)
            elif self._extent == "whole":
                self._slice(None)
            else:
                while not self._over.is_set():
                    begun = time.monotonic()
                    self._slice(SLICE_SECONDS)
                    self._rest(begun, PERIOD_SECONDS)
        except OSError as error:
            self._fail(error)

    def _measure_for(self, watch: SliceWatch) -> None:
        """Measure as somebody wants it who looks at each slice."""
        watch.begin(self._programs)
        is_whole = self._extent == "whole"
        # What is counted between two slices of it is in none: a few microseconds each second.
        with bpf.run_time_statistics() if is_whole else contextlib.nullcontext():
            seconds = watch.first_seconds
            while not self._over.is_set():
                begun = time.monotonic()
                period = watch.take(self._slice(seconds))
                seconds = period if is_whole else SLICE_SECONDS
                if not is_whole:
                    self._rest(begun, period)

    def _rest(self, begun: float, period: float) -> None:
        self._over.wait(max(0.0, period - (time.monotonic() - begun)))

    def _slice(self, seconds: float | None) -> Slice:
        with bpf.run_time_statistics():
            begun = time.monotonic()
            before = self._now()
            is_last = self._over.wait(seconds)
            after = self._now()
            taken = time.monotonic() - begun
        one = Slice(
            taken,
            [new.run_ns - old.run_ns for new, old in zip(after, before, strict=True)],
            [new.runs - old.runs for new, old in zip(after, before, strict=True)],
            is_last,
        )
        self._sum.add(one)
        return one

    def _now(self) -> list[bpf.ProgramStatistics]:
        return [bpf.program_statistics(self._pid, program) for program in self._programs]

    def _fail(self, error: OSError) -> None:
        self._why_not = f"not measured: {error.strerror}"
        if self._watch is not None:
            self._watch.failed(error)
