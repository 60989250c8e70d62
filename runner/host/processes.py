"""What /proc says of a process."""

import os
from pathlib import Path

_FIRST_PID_NAMESPACE = 0xEFFFFFFC
"""PROC_PID_INIT_INO of include/linux/proc_ns.h."""


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


def name_of(pid: int) -> str:
    """Return the name of a process's leader, or an empty string where it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").removesuffix("\n")
    except OSError:
        return ""


def all_names() -> set[bytes]:
    """Return the names of the leaders of all processes there are now."""
    names = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                names.add((folder / "comm").read_bytes().removesuffix(b"\n"))
            except OSError:
                continue  # it ended meanwhile
    return names
