"""Processes that take all the processor time that they get: `python -m tests.laboratory.hog NAME`."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.laboratory.cgroups import inside
from tests.laboratory.children import child
from tests.laboratory.load import rename
from tests.laboratory.until import until

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "batch-job"


@contextlib.contextmanager
def hogs(count: int, *, cpu: int | None = None, group: Path | None = None) -> Iterator[list[int]]:
    """Run so many until the end of the block; return their process ids.

    :param cpu: The only processor that they may use.
    :param group: The cgroup that they run in.
    """
    argv = [sys.executable, "-m", "tests.laboratory.hog", NAME]
    if cpu is not None:
        argv = ["taskset", "--cpu-list", str(cpu), *argv]
    if group is not None:
        argv = inside(group, argv)
    with contextlib.ExitStack() as stack:
        pids = [stack.enter_context(child(argv)).pid for _ in range(count)]
        names = [Path(f"/proc/{pid}/comm") for pid in pids]
        until(lambda: all(name.read_text().strip() == NAME for name in names), "all of them work")
        yield pids


def main() -> None:
    """Work until the process is ended."""
    rename(sys.argv[1])
    while True:
        pass


if __name__ == "__main__":
    main()
