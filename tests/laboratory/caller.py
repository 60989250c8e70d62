"""A compiled program that makes known system calls when it is told to (caller.c), and what it says of them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.laboratory.children import child

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent


def built(folder: Path) -> Path:
    """Compile the program into a folder."""
    path = folder / "caller"
    subprocess.run(["gcc", "-O1", "-pthread", "-o", path, _HERE / "caller.c"], check=True)
    return path


def built_for_32_bits(folder: Path) -> Path:
    """Compile the 32-bit program of x86 into a folder."""
    path = folder / "caller32"
    options = ["-m32", "-O1", "-static", "-nostdlib", "-fno-pic", "-no-pie", "-fno-stack-protector"]
    subprocess.run(["gcc", *options, "-o", path, _HERE / "caller32.c"], check=True)
    return path


@dataclass(frozen=True, slots=True)
class Caller:
    """The program, running; it waits for its input outside of what it is told to do."""

    pid: int
    folder: Path

    def asking(self, word: str) -> list[str]:
        """Return the command that tells it what to do, and ends when that is done."""
        return [
            "sh", "-c", 'cd "$1"; echo "$2" > question; exec head -n 1 answer > told', "ask", str(self.folder), word
        ]  # fmt: skip

    def told(self) -> Any:
        """Return what it said of what it did."""
        return json.loads((self.folder / "told").read_text())


@contextlib.contextmanager
def caller(program: Path, folder: Path) -> Iterator[Caller]:
    """Run the program; it waits until it is told to do something."""
    for name in ("question", "answer"):
        os.mkfifo(folder / name)
    # Opened for both directions, so that neither end waits for the other before the program runs.
    words = f"exec {program} <> {folder}/question 1<> {folder}/answer"
    with child(["sh", "-c", words]) as process:
        one = Caller(process.pid, folder)
        while Path(f"/proc/{one.pid}/comm").read_text() != "caller\n":
            time.sleep(0.01)
        yield one


def strace_summary(text: str) -> dict[str, tuple[int, int]]:
    """Return the calls and the errors of each system call, as `strace -c` prints them."""
    rows = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:(\d+) +)?(\w+)$", text, re.MULTILINE)
    return {name: (int(calls), int(errors or 0)) for calls, errors, name in rows if name != "total"}
