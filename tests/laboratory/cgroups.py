"""Cgroups of our own, and a load that works in several of them: `python -m tests.laboratory.cgroups calls PLAN`.

PLAN is JSON: a list of `{"folder": …, "calls": N}`. One after the other, a process enters the cgroup, which is made
where it is not there, and calls getppid() N times; no other call of that name is made.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from runner.host.cgroups import V2, hierarchies
from tests.laboratory.load import rename

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CONTAINER = "0123456789abcdef" * 4
OTHER_CONTAINER = "fedcba9876543210" * 4
POD = "8d2f5a10-7c3e-4b6f-9a21-0c5d3e7f1b42"

_NUMBERS = itertools.count()
_REMOVAL_SECONDS = 5


def mount_of(version: int) -> Path:
    """Return where cgroups of a version are mounted: version 2, or one hierarchy of version 1."""
    mounted = [each for each in hierarchies() if each.is_seen_by_programs]
    return next(
        each.mount for each in mounted if (each.name == V2) == (version == 2) and each.name != "memory"
    )


def call(plan: Sequence[dict[str, object]]) -> None:
    """Work in each cgroup, in a process of its own."""
    for step in plan:
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
            continue
        folder = Path(str(step["folder"]))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.procs").write_text("0")
        rename("in-cgroup")
        for _ in range(int(str(step["calls"]))):
            os.getppid()
        os._exit(0)


@contextlib.contextmanager
def cgroup_tree(version: int) -> Iterator[Path]:
    """Make a cgroup for a test; whatever was made in it goes with it."""
    top = mount_of(version) / f"ebpf-recipe-{os.getpid()}-{next(_NUMBERS)}"
    top.mkdir()
    try:
        yield top
    finally:
        remove(top)


def enter(folder: Path, pid: int) -> None:
    """Put a process into a cgroup."""
    (folder / "cgroup.procs").write_text(str(pid))


def inside(folder: Path, command: Sequence[str]) -> list[str]:
    """Return the command that runs another one in a cgroup."""
    return ["sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', str(folder), *command]


def remove(top: Path) -> None:
    """Remove a cgroup and those in it, once the last process has left them."""
    end = time.monotonic() + _REMOVAL_SECONDS
    for folder, _, _ in list(os.walk(top, topdown=False)):
        while True:
            try:
                Path(folder).rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)


def main() -> None:
    """Do what the plan says."""
    assert sys.argv[1] == "calls"
    call(json.loads(sys.argv[2]))


if __name__ == "__main__":
    main()
