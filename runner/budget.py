"""What a run may cost: measured for a moment, then again and again; where it is more the run ends.

The cost of a part of the window is a share of all processors together: time inside our programs, what
calling them costs beside that (`probe_costs.py`), and the processor time of bpftrace and of the runner.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from runner.capture.percent import in_percent
from runner.capture.quality import problem
from runner.host import kernel, processes
from runner.host.probe_kinds import probe_kinds
from runner.probe_costs import PROBE_COSTS, STATISTICS_NS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runner.capture.document import BudgetUse, Problem
    from runner.overhead import Slice
    from runner.probe_costs import ProbeCost

FIRST_SECONDS = 0.5
"""The first moment, which decides whether the run goes on at all; it is part of the window."""

PERIOD_SECONDS = 1.0
"""From one later slice to the next."""

DOUBT_SECONDS = 0.5
"""The same, behind a slice that was above the budget: sooner, to know whether it was a burst."""

SUSTAINED = 2
"""So many slices in a row above the budget end a run: a short burst is over before the second begins."""

RECENT, OFTEN = 10, 3
"""As do bursts that come again: so many of the recent slices above it, and the mean of all these too."""

LEAST_BUSY = 0.1
"""How many processors have to be busy for where they are to say anything: /proc/stat counts in 10 ms."""

OVER_BUDGET = "over budget"
"""The reason that a waiting is woken with where the run is to end for its cost."""

Verdict = Literal["refused", "stopped"]


@dataclass(frozen=True, slots=True)
class Sample:
    """What a part of the window cost, in shares of all processors together.

    :param seconds: The part of the window that it stands for.
    :param inside: Time inside our programs.
    :param around: What calling them costs beside that.
    :param tracer: Processor time of bpftrace; `runner` likewise, of this process.
    :param runs_per_second: How often our programs ran.
    """

    seconds: float
    inside: float
    around: float
    tracer: float
    runner: float
    runs_per_second: float

    @property
    def probes(self) -> float:
        """Return what the probes cost."""
        return self.inside + self.around

    @property
    def share(self) -> float:
        """Return all of it."""
        return self.probes + self.tracer + self.runner


def verdict(samples: Sequence[Sample], budget: float) -> Verdict | None:
    """Return whether a run has to end, and how; None where it may go on.

    :param samples: What each part of it cost so far, its first moment first.
    """
    if len(samples) == 1:
        # What is not the probes' may be done once only, as what is loaded for the first window.
        return "refused" if samples[0].probes > budget else None
    if all(each.share > budget for each in samples[-SUSTAINED:]):
        return "refused" if len(samples) == SUSTAINED else "stopped"
    recent = samples[-RECENT:]
    is_often = len(recent) == RECENT and sum(each.share > budget for each in recent) >= OFTEN
    return "stopped" if is_often and mean(recent).share > budget else None


def mean(samples: Sequence[Sample]) -> Sample:
    """Return what some parts of a window cost together."""
    seconds = sum(each.seconds for each in samples)

    def of(values: Sequence[float]) -> float:
        return sum(v * each.seconds for v, each in zip(values, samples, strict=True)) / seconds

    return Sample(
        seconds,
        of([each.inside for each in samples]),
        of([each.around for each in samples]),
        of([each.tracer for each in samples]),
        of([each.runner for each in samples]),
        of([each.runs_per_second for each in samples]),
    )


class BudgetWatch:
    """Looks at each slice that the meter measured, and calls where the run has to end."""

    first_seconds = FIRST_SECONDS

    def __init__(self, ratio: float, pid: int, on_over: Callable[[], None]) -> None:
        """Watch nothing yet.

        :param ratio: The budget: a share of all processors together.
        :param pid: bpftrace's process id.
        :param on_over: Called once, from the thread that measures, where the run has to end.
        """
        self._ratio = ratio
        self._pid = pid
        self._on_over = on_over
        self._cpus = kernel.cpus_online()
        self._costs: list[ProbeCost] = []
        self._samples: list[Sample] = []
        self._verdict: Verdict | None = None
        self._why_not: str | None = None
        self._before = _Clocks(0.0, 0.0, 0.0, 0.0, 0.0)

    @property
    def is_over(self) -> bool:
        """Whether the run has to end for its cost."""
        return self._verdict is not None or self._why_not is not None

    def begin(self, programs: Sequence[str]) -> None:
        """Look at what calls each program: the first moment begins."""
        self._costs = [PROBE_COSTS[kind] for kind in probe_kinds(self._pid, programs)]
        self._before = self._clocks()

    def take(self, one: Slice) -> float:
        """Take a slice, and return the seconds from its beginning to that of the next one."""
        now = self._clocks()
        passed, tracer, runner, first, every = (new - old for new, old in zip(now, self._before, strict=True))
        self._before = now
        # No statistics say where a program ran: most likely there where tasks did.
        on_first = first / every if every >= LEAST_BUSY * passed else 1 / self._cpus
        measured = one.seconds * self._cpus
        # Statistics are on in the slice alone.
        counting_ns = STATISTICS_NS * min(1.0, one.seconds / passed)
        around = sum(
            runs * (cost.mean_ns(on_first) + counting_ns)
            for runs, cost in zip(one.runs, self._costs, strict=True)
        )
        sample = Sample(
            seconds=passed,
            inside=sum(one.run_ns) / 1e9 / measured,
            around=around / 1e9 / measured,
            # Where bpftrace is gone its clock is too.
            tracer=max(0.0, tracer) / passed / self._cpus,
            runner=runner / passed / self._cpus,
            runs_per_second=sum(one.runs) / one.seconds,
        )
        self._samples.append(sample)
        # What the end of the window cut short ends nothing any more.
        if not one.is_last and not self.is_over:
            self._verdict = verdict(self._samples, self._ratio)
            if self._verdict is not None:
                self._on_over()
        return DOUBT_SECONDS if len(self._samples) > 1 and sample.share > self._ratio else PERIOD_SECONDS

    def failed(self, error: OSError) -> None:
        """End the run: what is not measured is not known to be within the budget."""
        if isinstance(error, FileNotFoundError | ProcessLookupError):
            return  # bpftrace is about to end, or did: that is said elsewhere
        self._why_not = error.strerror or str(error)
        self._on_over()

    def use(self) -> BudgetUse:
        """Return what became of the budget."""
        whole = mean(self._samples) if self._samples else None
        use: BudgetUse = {
            "ratio": self._ratio,
            "cpus": self._cpus,
            "outcome": "unmeasured" if self._why_not else self._verdict or self._undecided(),
            "first_moment_ratio": _rounded(self._samples[0].share) if whole else None,
            "measured_ratio": _rounded(whole.share) if whole else None,
            "inside_ratio": _rounded(whole.inside) if whole else None,
            "around_ratio": _rounded(whole.around) if whole else None,
            "tracer_ratio": _rounded(whole.tracer) if whole else None,
            "runner_ratio": _rounded(whole.runner) if whole else None,
        }
        if self._verdict is not None:
            use["deciding_ratio"] = _rounded(self._deciding().share)
        return use

    def _undecided(self) -> Literal["kept", "exceeded"]:
        """Return what became of the budget of a run that ended by itself: perhaps before it was decided."""
        return "exceeded" if self._samples and mean(self._samples).share > self._ratio else "kept"

    def problems(self) -> list[Problem]:
        """Say why the run ended, where it did for its cost, or that it ended before that and cost more."""
        if self._why_not is not None:
            why = f"what the run costs could not be measured: {self._why_not}"
            return [problem("over-budget", None, why)]
        if self._verdict is None and self._undecided() == "kept":
            return []
        one = mean(self._samples) if self._verdict is None else self._deciding()
        when = f"the last {one.seconds:.1f} s after {sum(each.seconds for each in self._samples):.1f} s"
        if self._verdict == "refused":
            when = f"the first {one.seconds:.1f} s"
        elif self._verdict is None:
            when = f"all of it ({one.seconds:.1f} s, which ended before it was stopped)"
        return [
            problem(
                "over-budget",
                None,
                f"{when} took {in_percent(one.share)} of {self._cpus} processors, the budget is "
                f"{in_percent(self._ratio)}: {self._probes(one)}, bpftrace {in_percent(one.tracer)}, "
                f"ebpf-recipe {in_percent(one.runner)}",
            )
        ]

    def _probes(self, one: Sample) -> str:
        if not one.runs_per_second:
            return "no probe ran"
        each_ns = 1e9 * self._cpus / one.runs_per_second
        return (
            f"{one.runs_per_second:,.0f} probe runs per second, each {one.inside * each_ns:.0f} ns inside "
            f"our program and {one.around * each_ns:.0f} ns around it ({in_percent(one.inside + one.around)})"
        )

    def _deciding(self) -> Sample:
        """Return what the verdict was spoken on."""
        if self._verdict == "refused" and self._samples[0].probes > self._ratio:
            return self._samples[0]
        last = self._samples[-SUSTAINED:]
        return mean(last if all(each.share > self._ratio for each in last) else self._samples[-RECENT:])

    def _clocks(self) -> _Clocks:
        return _Clocks(
            time.monotonic(),
            processes.cpu_seconds(self._pid),
            time.process_time(),
            *kernel.busy_seconds_of_first(),
        )


class _Clocks(NamedTuple):
    """Readings at one moment, in seconds: the time, and processor time of bpftrace, us and all tasks."""

    now: float
    tracer: float
    runner: float
    first_busy: float
    all_busy: float


def _rounded(share: float) -> float:
    return round(share, 9)
