"""Trials: what the kernel answers this process when it is asked for what tracing needs."""

from __future__ import annotations

import errno
import os
import resource
from dataclasses import dataclass

from runner.host import bpf, perf
from runner.host.btf_types import kernel_types

_AMPLE_MEMLOCK_BYTES = 64 << 20
_PERIOD_NS = 1_000_000_000
_QUIET_FUNCTION = "bpf_fentry_test1"


@dataclass(frozen=True, slots=True)
class Trials:
    """What the kernel answered: an errno, 0 where it did what was asked.

    :param load: To a BPF program of two instructions for a tracepoint.
    :param sample: To a clock that would take a sample each second on processor 0.
    :param fentry: To such a program at the entry of `bpf_fentry_test1`, which nothing calls but the kernel's
        own tests; None where the kernel does not describe its functions.
    :param memory: To a map that is larger than the limit of locked memory: kernels before 5.11 count maps
        there. None where the limit leaves room enough to go without the trial.
    """

    load: int
    sample: int
    fentry: int | None
    memory: int | None


def try_here() -> Trials:
    """Ask the kernel; what it gives is given back at once."""
    return Trials(_load(), _sample(), try_fentry(), _memory())


def _load() -> int:
    try:
        os.close(bpf.load_nothing())
    except OSError as error:
        return error.errno or errno.ENOSYS
    return 0


def try_fentry() -> int | None:
    """Return what the kernel answers to a program at a function's entry, as in `Trials`."""
    types = kernel_types()
    function = types.functions.get(_QUIET_FUNCTION) if types is not None else None
    if function is None:
        return None
    try:
        program = bpf.load_nothing(function=function)
        try:
            os.close(bpf.attach_to_function(program))
        finally:
            os.close(program)
    except OSError as error:
        return error.errno or errno.ENOSYS
    return 0


def _memory() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if limit in (resource.RLIM_INFINITY, -1) or limit > _AMPLE_MEMLOCK_BYTES:
        return None
    try:
        os.close(bpf.create_array(limit + resource.getpagesize()))
    except OSError as error:
        return error.errno or errno.ENOSYS
    return 0


def _sample() -> int:
    try:
        os.close(perf.open_event(perf.SOFTWARE, perf.CPU_CLOCK, 0, sample_period=_PERIOD_NS))
    except OSError as error:
        return error.errno or errno.ENOSYS
    return 0
