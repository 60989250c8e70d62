"""What /proc says of a process."""

from pathlib import Path


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
