"""What this host is: kernel, architecture, processors, BTF, privilege."""

import os
from pathlib import Path

BTF = Path("/sys/kernel/btf/vmlinux")


def has_btf() -> bool:
    """Whether the kernel describes its own types."""
    return BTF.exists()


def is_root() -> bool:
    """Whether this process runs as root (bpftrace before 0.25 demands it)."""
    return os.geteuid() == 0


def boot_id() -> str:
    """Return the id of this boot: monotonic times compare only within one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def busy_seconds() -> float:
    """Return the seconds that all processors together ran tasks, since boot: interrupts are not in it."""
    with Path("/proc/stat").open() as file:
        user, nice, system = (int(field) for field in file.readline().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def busy_seconds_of_first() -> tuple[float, float]:
    """Return the seconds that the first processor, and all of them together, were not idle since boot."""
    with Path("/proc/stat").open() as file:
        lines = [next(file), next(file)]
    every, first = (
        sum(int(fields[place]) for place in (1, 2, 3, 6, 7)) / os.sysconf("SC_CLK_TCK")
        for fields in (line.split() for line in lines)
    )
    return first, every


def cpu_numbers_online(path: Path = Path("/sys/devices/system/cpu/online")) -> list[int]:
    """Return the numbers of the processors that run, which may have gaps between them."""
    found: list[int] = []
    for part in path.read_text().strip().split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def cpus_online() -> int:
    """Return the number of processors that run, whatever this process may use."""
    return os.sysconf("SC_NPROCESSORS_ONLN")
