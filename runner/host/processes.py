"""What /proc says of processes."""

import ctypes
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FIRST_PID_NAMESPACE = 0xEFFFFFFC
"""PROC_PID_INIT_INO of include/linux/proc_ns.h."""

_LIBC = ctypes.CDLL(None)


def own_pid_in_kernel() -> int | None:
    """Return this process's id as the kernel sees it; None inside a process namespace, where it is hidden."""
    inode = Path("/proc/self/ns/pid").stat().st_ino
    return os.getpid() if inode == _FIRST_PID_NAMESPACE else None


def thread_group_of(pid: int) -> int | None:
    """Return the id of the process that a process or thread id belongs to; None where there is none."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Tgid:"))


def name_of(pid: int, proc: Path = Path("/proc")) -> str:
    """Return the name of a process's leader, or an empty string where it is gone."""
    try:
        return (proc / str(pid) / "comm").read_text(errors="replace").removesuffix("\n")
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Descent:
    """Where a process comes from.

    :param parent: Process id; 0 where it is not of our process namespace.
    :param start_ticks: When it started, in clock ticks since boot.
    :param inner_pid: Its own id in its own process namespace.
    """

    parent: int
    start_ticks: int
    inner_pid: int


def descent_of(pid: int, proc: Path = Path("/proc")) -> Descent | None:
    """Return where a process comes from; None where it is gone."""
    try:
        fields = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        status = (proc / str(pid) / "status").read_bytes().splitlines()
    except OSError:
        return None
    inner = next((int(line.split()[-1]) for line in status if line.startswith(b"NSpid:")), pid)
    return Descent(int(fields[1]), int(fields[19]), inner) if len(fields) > 19 else None


def command_line_of(pid: int, proc: Path = Path("/proc")) -> list[bytes]:
    """Return the words that a process was started with; none where it is gone, or of the kernel."""
    try:
        raw = (proc / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return raw.removesuffix(b"\0").split(b"\0") if raw else []


def all_names() -> set[bytes]:
    """Return the names of the leaders of all processes there are now."""
    return {name for _, name in all_processes()}


def all_processes(proc: Path = Path("/proc")) -> Iterator[tuple[int, bytes]]:
    """Return the id and the leader's name of each process there is now, in the order of ids."""
    for pid in sorted(int(folder.name) for folder in proc.iterdir() if folder.name.isdecimal()):
        try:
            yield pid, (proc / str(pid) / "comm").read_bytes().removesuffix(b"\n")
        except OSError:
            continue  # it ended meanwhile


def cgroups_of(pid: int, proc: Path = Path("/proc")) -> bytes:
    """Return a process's line for each hierarchy of cgroups; nothing where it is gone."""
    try:
        return (proc / str(pid) / "cgroup").read_bytes()
    except OSError:
        return b""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process used so far."""

    cpu_seconds: float
    peak_rss_bytes: int


def usage_of(pid: int) -> Usage | None:
    """Return what a process used so far; None where it is gone."""
    try:
        # The name, in brackets, may hold anything: the numbers stand behind the last bracket.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    ticks = int(fields[11]) + int(fields[12])
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), "0")
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), int(peak) * 1024)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, finer than `usage_of` does; 0 where it is gone."""
    clock = ctypes.c_int()
    if _LIBC.clock_getcpuclockid(pid, ctypes.byref(clock)) != 0:
        return 0.0
    try:
        return time.clock_gettime(clock.value)
    except OSError:
        return 0.0


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped (SIGSTOP, or a debugger)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
    except OSError:
        return False


def has_ended(pid: int) -> bool:
    """Return whether a process is gone, or a zombie that nobody has waited for."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state in (b"Z", b"X")


def descendants_of(pid: int) -> list[int]:
    """Return the processes that a process started, and those that they started, parents first."""
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants_of(int(child))]
    except OSError:
        pass
    return found
