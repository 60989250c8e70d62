"""perf_event_open(): the kernel's own counters and clocks."""

from __future__ import annotations

import ctypes
import errno
import os
import platform

_SYSCALL = {"x86_64": 298, "aarch64": 241, "ppc64le": 319, "s390x": 331, "riscv64": 241}

# enum perf_type_id and enum perf_sw_ids of include/uapi/linux/perf_event.h.
SOFTWARE, TRACEPOINT = 1, 2
CPU_CLOCK = 0

_CLOSE_ON_EXEC = 8
_ALL_PROCESSES, _NO_GROUP = -1, -1


class _Attributes(ctypes.Structure):
    """The first 64 bytes of perf_event_attr (PERF_ATTR_SIZE_VER0) of include/uapi/linux/perf_event.h."""

    _fields_ = (
        ("type", ctypes.c_uint32), ("size", ctypes.c_uint32), ("config", ctypes.c_uint64),
        ("sample_period", ctypes.c_uint64), ("sample_type", ctypes.c_uint64),
        ("read_format", ctypes.c_uint64), ("flags", ctypes.c_uint64),
        ("wakeup_events", ctypes.c_uint32), ("bp_type", ctypes.c_uint32), ("bp_addr", ctypes.c_uint64),
    )  # fmt: skip


_LIBC = ctypes.CDLL(None, use_errno=True)


def open_event(kind: int, number: int, cpu: int, *, sample_period: int = 0) -> int:
    """Return a descriptor of an event on one processor, whatever runs there; it counts from now on.

    :param kind: `SOFTWARE` or `TRACEPOINT`.
    :param number: Of a tracepoint its id.
    :param sample_period: Events from one sample to the next; 0: no samples.
    :raises OSError: Not permitted, or the kernel has no such event.
    """
    syscall = _SYSCALL.get(platform.machine())
    if syscall is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    attributes = _Attributes(kind, ctypes.sizeof(_Attributes), number, sample_period)
    descriptor: int = _LIBC.syscall(
        syscall, ctypes.byref(attributes), _ALL_PROCESSES, cpu, _NO_GROUP, _CLOSE_ON_EXEC
    )
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor
