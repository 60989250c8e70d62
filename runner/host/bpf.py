"""BPF programs and maps that a process holds, and the kernel's statistics of them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280, "ppc64le": 361, "s390x": 351, "riscv64": 280}
# enum bpf_cmd and enum bpf_stats_type of include/uapi/linux/bpf.h.
_BPF_MAP_CREATE = 0
_BPF_PROG_LOAD = 5
_BPF_PROG_GET_NEXT_ID = 11
_BPF_PROG_GET_FD_BY_ID = 13
_BPF_RAW_TRACEPOINT_OPEN = 17
_BPF_TASK_FD_QUERY = 20
_BPF_ENABLE_STATS = 32
_BPF_STATS_RUN_TIME = 0
_BPF_MAP_TYPE_ARRAY = 2
_BPF_PROG_TYPE_TRACEPOINT = 5
_BPF_PROG_TYPE_TRACING = 26
_BPF_TRACE_FENTRY = 24
_NOTHING = bytes.fromhex("b700000000000000 9500000000000000")
"""r0 = 0; exit: struct bpf_insn twice; both instructions read the same in either byte order."""
_ATTR_BYTES = 128
_NAME_BYTES = 256


class _FdQuery(ctypes.Structure):
    """The `task_fd_query` of union bpf_attr."""

    _fields_ = (
        ("pid", ctypes.c_uint32), ("fd", ctypes.c_uint32), ("flags", ctypes.c_uint32),
        ("buf_len", ctypes.c_uint32), ("buf", ctypes.c_uint64), ("program", ctypes.c_uint32),
        ("fd_type", ctypes.c_uint32), ("offset", ctypes.c_uint64), ("address", ctypes.c_uint64),
    )  # fmt: skip


class _Load(ctypes.Structure):
    """What BPF_PROG_LOAD reads of union bpf_attr."""

    _fields_ = (
        ("type", ctypes.c_uint32), ("instructions", ctypes.c_uint32), ("code", ctypes.c_uint64),
        ("license", ctypes.c_uint64), ("log", ctypes.c_uint64 * 2), ("version_and_flags", ctypes.c_uint64),
        ("name", ctypes.c_uint64 * 2), ("device", ctypes.c_uint32), ("attach_type", ctypes.c_uint32),
        ("debug", ctypes.c_uint32 * 9), ("function", ctypes.c_uint32),
    )  # fmt: skip


_LINK_DESCRIPTORS = ("anon_inode:bpf_link", "anon_inode:bpf-link")

_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class ProgramStatistics:
    """What the kernel counted of one program since it was loaded.

    :param identity: The program's id.
    :param run_ns: Nanoseconds that it ran, and `runs` how often, while statistics were on.
    :param misses: How often the kernel left it out because another program ran on that processor
        (kernel 5.12 for function probes, 6.7 for tracepoints; never for samples and intervals).
    """

    identity: int
    run_ns: int
    runs: int
    misses: int


@contextlib.contextmanager
def run_time_statistics() -> Iterator[None]:
    """Have the kernel count run times of all BPF programs of the host until the end of the block.

    Every program is slower meanwhile, by two readings of the clock for each run.

    :raises OSError: Not permitted (CAP_SYS_ADMIN), or a kernel before 5.8.
    """
    descriptor = _bpf(_BPF_ENABLE_STATS, _BPF_STATS_RUN_TIME)
    try:
        yield
    finally:
        os.close(descriptor)


def load_nothing(*, function: int | None = None) -> int:
    """Load a program that does nothing and return its descriptor.

    :param function: The type of a kernel function (BTF) at whose entry it could run; else a tracepoint's.
    :raises OSError: The kernel does not take it: no privilege, a filter of system calls, no BPF.
    """
    code = ctypes.create_string_buffer(_NOTHING, len(_NOTHING))
    gpl = ctypes.create_string_buffer(b"GPL")
    load = _Load(
        type=_BPF_PROG_TYPE_TRACEPOINT if function is None else _BPF_PROG_TYPE_TRACING,
        instructions=len(_NOTHING) // 8,
        code=ctypes.addressof(code),
        license=ctypes.addressof(gpl),
        attach_type=0 if function is None else _BPF_TRACE_FENTRY,
        function=function or 0,
    )
    return _call(_BPF_PROG_LOAD, ctypes.create_string_buffer(bytes(load), _ATTR_BYTES))


def create_array(size: int) -> int:
    """Create a map of at least so many bytes and return its descriptor.

    :raises OSError: The kernel does not give it.
    """
    attributes = ctypes.create_string_buffer(
        struct.pack("=IIII", _BPF_MAP_TYPE_ARRAY, 4, 8, size // 8 + 1), _ATTR_BYTES
    )
    return _call(_BPF_MAP_CREATE, attributes)


def attach_to_function(descriptor: int) -> int:
    """Attach a program to the function that it was loaded for, and return the descriptor that keeps it there.

    :raises OSError: The kernel cannot.
    """
    attributes = ctypes.create_string_buffer(_ATTR_BYTES)
    ctypes.memmove(ctypes.addressof(attributes) + 8, ctypes.byref(ctypes.c_uint32(descriptor)), 4)
    return _call(_BPF_RAW_TRACEPOINT_OPEN, attributes)


def program_descriptors(pid: int) -> list[str]:
    """Return the descriptors, of a process, that are BPF programs.

    :raises OSError: The process is gone, or not ours to look at.
    """
    return _descriptors(pid, "anon_inode:bpf-prog")


def program_statistics(pid: int | str, descriptor: str) -> ProgramStatistics:
    """Return the kernel's statistics of one program.

    :raises OSError: The process is gone, or not ours to look at.
    """
    fields = _fdinfo(pid, descriptor)
    return ProgramStatistics(
        fields["prog_id"],
        fields.get("run_time_ns", 0),
        fields.get("run_cnt", 0),
        fields.get("recursion_misses", 0),
    )


def probe_names(pid: int) -> dict[int, str]:
    """Return what a process's programs are attached to, by program id, where the kernel says so.

    Tracepoints by their event, functions by their symbol; samples and intervals have no name.

    :raises OSError: Not permitted (CAP_SYS_ADMIN), or the process is gone.
    """
    return {identity: each.name for identity, each in attachments(pid).items()}


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a program is attached to through a perf event.

    :param kind: Of enum bpf_task_fd_type of include/uapi/linux/bpf.h.
    """

    kind: int
    name: str


def attachments(pid: int) -> dict[int, Attachment]:
    """Return what a process's programs are attached to through perf events, by program id.

    :raises OSError: Not permitted (CAP_SYS_ADMIN), or the process is gone.
    """
    found = {}
    text = ctypes.create_string_buffer(_NAME_BYTES)
    for descriptor in _descriptors(pid, "anon_inode:[perf_event]"):
        query = _FdQuery(pid, int(descriptor), 0, _NAME_BYTES, ctypes.addressof(text))
        attributes = ctypes.create_string_buffer(bytes(query), _ATTR_BYTES)
        try:
            _call(_BPF_TASK_FD_QUERY, attributes)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EOPNOTSUPP, errno.ENOTSUP):
                continue  # an event without a program, or one that has no name
            raise
        answer = _FdQuery.from_buffer(attributes)
        found[answer.program] = Attachment(answer.fd_type, text.value.decode(errors="replace"))
    return found


def link_types(pid: int) -> dict[int, str]:
    """Return the types of the links that attach a process's programs, by program id, in the kernel's words.

    :raises OSError: The process is gone, or not ours to look at.
    """
    types = {}
    for kind in _LINK_DESCRIPTORS:
        for descriptor in _descriptors(pid, kind):
            words = _fdinfo_words(pid, descriptor)
            if "prog_id" in words:
                types[int(words["prog_id"])] = words.get("link_type", "")
    return types


def count_attached(pids: Iterable[int]) -> int | None:
    """Return how many descriptors of these processes keep programs attached; None where we may not look."""
    kinds = ("anon_inode:[perf_event]", *_LINK_DESCRIPTORS)
    try:
        return sum(len(_descriptors(pid, kind)) for pid in pids for kind in kinds)
    except OSError:
        return None


def program_type(pid: int, descriptor: str) -> tuple[int, int]:
    """Return the id of a program and its type, of enum bpf_prog_type of include/uapi/linux/bpf.h.

    :raises OSError: The process is gone, or not ours to look at.
    """
    fields = _fdinfo(pid, descriptor)
    return fields["prog_id"], fields["prog_type"]


def map_bytes(pid: int) -> int:
    """Return the memory of all BPF maps that a process holds.

    :raises OSError: The process is gone, or not ours to look at.
    """
    descriptors = _descriptors(pid, "anon_inode:bpf-map")
    sizes = {
        fields["map_id"]: fields.get("memlock", 0) for fields in (_fdinfo(pid, each) for each in descriptors)
    }
    return sum(sizes.values())


def all_programs_run_ns() -> int:
    """Return the nanoseconds that all BPF programs of the host ran while statistics were on.

    :raises OSError: Not permitted (CAP_SYS_ADMIN).
    """
    total = 0
    for identity in _program_ids():
        try:
            descriptor = _bpf(_BPF_PROG_GET_FD_BY_ID, identity)
        except FileNotFoundError:
            continue  # unloaded meanwhile
        try:
            total += program_statistics("self", str(descriptor)).run_ns
        finally:
            os.close(descriptor)
    return total


def _program_ids() -> Iterator[int]:
    identity = 0
    while True:
        attributes = ctypes.create_string_buffer(_ATTR_BYTES)
        ctypes.memmove(attributes, ctypes.byref(ctypes.c_uint32(identity)), 4)
        try:
            _call(_BPF_PROG_GET_NEXT_ID, attributes)
        except FileNotFoundError:
            return
        identity = ctypes.c_uint32.from_buffer(attributes, 4).value
        yield identity


def _bpf(command: int, first_attribute: int) -> int:
    attributes = ctypes.create_string_buffer(_ATTR_BYTES)
    ctypes.memmove(attributes, ctypes.byref(ctypes.c_uint32(first_attribute)), 4)
    return _call(command, attributes)


def _call(command: int, attributes: ctypes.Array[ctypes.c_char]) -> int:
    number = _BPF_SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(f"no number of the bpf system call is known for {platform.machine()}")
    result: int = _LIBC.syscall(number, command, attributes, _ATTR_BYTES)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _descriptors(pid: int, kind: str) -> list[str]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(entry) == kind:  # noqa: PTH115
                found.append(entry.name)
    return found


def _fdinfo(pid: int | str, descriptor: str) -> dict[str, int]:
    return {name: int(word) for name, word in _fdinfo_words(pid, descriptor).items() if word.isdecimal()}


def _fdinfo_words(pid: int | str, descriptor: str) -> dict[str, str]:
    words = {}
    for line in Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text().splitlines():
        name, _, value = line.partition(":")
        words[name] = value.strip()
    return words
