"""Which files a process sees under a path: containers have their own."""

from __future__ import annotations

import os
import re
from pathlib import Path

_MOST_LINKS = 40
"""As the kernel follows (MAXSYMLINKS of include/linux/namei.h)."""


def has_own_files(pid: int) -> bool:
    """Whether a process sees other files under a path than we do: another mount namespace, or another root.

    :raises FileNotFoundError: There is no such process.
    :raises PermissionError: It is not ours to look at.
    """
    theirs, ours = os.stat(f"/proc/{pid}/root"), os.stat("/")  # noqa: PTH116
    is_same_root = (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino)
    namespace = os.stat(f"/proc/{pid}/ns/mnt").st_ino  # noqa: PTH116
    return not is_same_root or namespace != os.stat("/proc/self/ns/mnt").st_ino  # noqa: PTH116


def inside_of(root: str, path: str) -> str:
    """Return a path below a root, without links: the kernel would follow them from our root.

    What does not exist stays as it is.
    """
    left = path.split("/")[::-1]
    found: list[str] = []
    links = 0
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del found[-1:]
            continue
        here = "/".join([root, *found, part])
        if os.path.islink(here) and links < _MOST_LINKS:  # noqa: PTH114
            target = os.readlink(here)  # noqa: PTH115
            links += 1
            if target.startswith("/"):
                found.clear()
            left += target.split("/")[::-1]
            continue
        found.append(part)
    return "/".join([root, *found])


def mapped_file(pid: int, name: str) -> str | None:
    """Return the path, as the process sees it, of a library or program in its memory: `libc` or `libc.so.6`.

    :raises FileNotFoundError: There is no such process.
    :raises PermissionError: It is not ours to look at.
    """
    pattern = re.compile(rf"{re.escape(name)}(-[0-9.]+)?(\.so[0-9.]*)?")
    for line in Path(f"/proc/{pid}/maps").read_text(errors="surrogateescape").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5].startswith("/") and pattern.fullmatch(fields[5].rpartition("/")[2]):
            return fields[5]
    return None
