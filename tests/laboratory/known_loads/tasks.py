"""Known loads of processors, tasks and system calls."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tests.laboratory.known_loads.fixed import fixed
from tests.laboratory.known_loads.known_load import NAME, OWN

if TYPE_CHECKING:
    from tests.laboratory.known_loads.known_load import MakeLoad


_SLEEPS, _SLEEP_MS = 100, 5

_CALLS = 2_000

_STARTS = 50

_PROCESSES, _THREADS = 40, 20

_HERTZ, _CPU_SECONDS = 99, 1.5
_SAMPLES = _HERTZ * _CPU_SECONDS
# The clock does not know of the load: three standard deviations of chance.
_FEWEST_SAMPLES = int(_SAMPLES - 3 * math.sqrt(_SAMPLES))

_DATAGRAMS = 2_000


def _sleeping(table: str, **keys: Any) -> MakeLoad:
    # For each sleep it leaves the processor once of its own will, and waits once to get it back.
    return fixed(OWN, ("sleep", _SLEEPS, _SLEEP_MS), table, _SLEEPS, comm=NAME, **keys)


def _calling(table: str) -> MakeLoad:
    # getppid() of the C library is one system call each time.
    return fixed(
        (*OWN, "--syscall", "getppid"), ("calls", _CALLS), table, _CALLS, comm=NAME, syscall="getppid"
    )


LOADS: dict[str, MakeLoad] = {
    "cpu-profile": fixed(
        (*OWN, "--hertz", str(_HERTZ)), ("compute", _CPU_SECONDS), "samples", _FEWEST_SAMPLES, comm=NAME
    ),
    # Half of the starts are of a program that is not there, and no new programs.
    "execsnoop": fixed(
        ("--comm", "true"), ("starts", _STARTS, "/bin/true"), "execs", _STARTS, comm="true", parent=NAME
    ),
    "fork-rate": fixed(OWN, ("forks", _PROCESSES, _THREADS), "created", _PROCESSES + _THREADS, comm=NAME),
    "offcpu": _sleeping("waits", preempted=False),
    "runqlat": _sleeping("waits"),
    "sched-switches": _sleeping("switches", voluntary=True),
    # Each datagram comes in by a softirq of its own: the next is sent when it was received.
    "softirqs": fixed((), ("datagrams", _DATAGRAMS), "time", _DATAGRAMS, vector="NET_RX"),
    "syscall-latency": _calling("latency"),
    "syscount": _calling("calls"),
    "thread-time": _sleeping("time", state="event"),
}
