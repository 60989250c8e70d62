"""One tool, tracing: from its start until all that it attaches is attached, and to its end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.host import bpf, processes
from tests.laboratory.children import child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.kernel_cost.tools import Tool

_LIMIT_SECONDS = 60
_LOST = re.compile(r"^[Ll]ost (\d+) events", re.MULTILINE)
"""What bpftrace and libbpf-tools print when their buffer was full."""
_QUIET_SECONDS = 0.4
"""A tool that says nothing we could rely on is ready when it attached nothing for so long."""


class NotMeasured(Exception):
    """A tool does not trace here; the text says why, in its own words where it has any."""


@dataclass(slots=True)
class Tracing:
    """A tool that traces.

    :param pid: The process that holds its programs.
    :param lost: Once it has ended: how many of its lines of output it says that it lost.
    """

    pid: int
    lost: int = 0


@contextlib.contextmanager
def tracing(tool: Tool, folder: Path) -> Iterator[Tracing]:
    """Run a tool until the end of the block.

    :param folder: For what it is told by, and what it says.
    :raises NotMeasured: It ended before it traced.
    """
    with contextlib.ExitStack() as stack:
        said = stack.enter_context((folder / "said").open("wb+"))
        printed = stack.enter_context((folder / "printed").open("wb+"))
        over = stack.enter_context(_workload(folder)) if tool.kind == "recipe" else None
        argv = [*tool.argv, *(over.argv if over else [])]
        # What others print at their end nobody reads, and some of them take long for it.
        process = stack.enter_context(
            child(argv, end=signal.SIGKILL, stdin=subprocess.DEVNULL, stdout=printed, stderr=said)
        )
        ready = over.has_begun if over else _Settled(process.pid)
        deadline = time.monotonic() + _LIMIT_SECONDS
        while not ready():
            if process.poll() is not None:
                said.seek(0)
                raise NotMeasured(_reason(said.read().decode(errors="replace")))
            if time.monotonic() > deadline:
                raise NotMeasured(f"not attached after {_LIMIT_SECONDS} s")
            time.sleep(0.02)
        holder = _holder(process.pid)
        assert holder is not None, argv
        one = Tracing(holder)
        yield one
        if over:
            over.end()
            code = process.wait(_LIMIT_SECONDS)
            assert code == 0, (folder / "said").read_text()
            problems = json.loads((folder / "printed").read_bytes())["quality"]["problems"]
            one.lost = sum(each["count"] for each in problems if each["code"] == "lost-events")
        else:
            texts = [(folder / name).read_text(errors="replace") for name in ("said", "printed")]
            one.lost = sum(int(count) for text in texts for count in _LOST.findall(text))


class _Workload:
    """The command that a run of a recipe lasts as long as: it says that it began, and waits to be ended."""

    def __init__(self, folder: Path) -> None:
        self._begun, self._over = folder / "begun", folder / "over"
        self._begun.unlink(missing_ok=True)
        os.mkfifo(self._over)
        self.argv = ["--", "sh", "-c", f": > {self._begun}; read _ < {self._over}"]

    def has_begun(self) -> bool:
        return self._begun.exists()

    def end(self) -> None:
        self._over.write_text("\n")

    def remove(self) -> None:
        self._over.unlink()


@contextlib.contextmanager
def _workload(folder: Path) -> Iterator[_Workload]:
    one = _Workload(folder)
    try:
        yield one
    finally:
        one.remove()


class _Settled:
    """Whether a process, or one that it started, attached programs and no more of them for a while."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._seen = (0, 0)
        self._since = time.monotonic()

    def __call__(self) -> bool:
        now, seen = time.monotonic(), self._attached()
        if seen != self._seen:
            self._seen, self._since = seen, now
        return seen[1] > 0 and now - self._since > _QUIET_SECONDS

    def _attached(self) -> tuple[int, int]:
        holder = _holder(self._pid)
        if holder is None:
            return 0, 0
        with contextlib.suppress(OSError):
            return len(bpf.program_descriptors(holder)), len(bpf.attachments(holder)) + len(
                bpf.link_types(holder)
            )
        return 0, 0


def _holder(pid: int) -> int | None:
    """Return who holds BPF programs: what we started, or what that started."""
    for each in (pid, *processes.descendants_of(pid)):
        with contextlib.suppress(OSError):
            if bpf.program_descriptors(each):
                return each
    return None


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if not lines:
        return "it ended without a word"
    # The last one is what it ended for; hints stand behind a message of ours.
    messages = [line for line in lines if line.startswith("ebpf-recipe: ")] or lines
    return messages[-1].removeprefix("ebpf-recipe: ")
