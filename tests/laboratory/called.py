"""The program `called`, which calls its functions so often as it is told: built, and run beside a test."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.laboratory.children import child

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SOURCE = Path(__file__).parent / "called.c"


def build(folder: Path, *options: str, name: str = "called") -> Path:
    """Build the program and, beside it, the library libcalled.so that it calls; return the program.

    :param options: Of the compiler, for the program.
    """
    compiler = ["gcc", "-O1", "-Wall"]
    library = folder / "libcalled.so"
    subprocess.run([*compiler, "-shared", "-fPIC", "-DLIBRARY", "-o", library, _SOURCE], check=True)
    program = folder / name
    linked = [f"-L{folder}", "-lcalled", f"-Wl,-rpath,{folder}"]
    subprocess.run([*compiler, "-pthread", *options, "-o", program, _SOURCE, *linked], check=True)
    return program


def address_of(program: Path, function: str) -> int:
    """Return the address of a function as `nm` shows it."""
    said = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    return next(int(line.split()[0], 16) for line in said.splitlines() if line.split()[-1] == function)


@dataclass(frozen=True, slots=True)
class Called:
    """The program, running."""

    pid: int
    question: Path
    answer: Path

    def asking(self, *words: str) -> str:
        """Return the shell command that has it call functions, and waits until it has: `empty 1000`."""
        lines = "".join(f"{each}\\n" for each in words)
        return f"printf '{lines}' > {self.question}; head -n {len(words)} {self.answer} > {self.answer}.text"

    def figures(self) -> list[int]:
        """Return the numbers of its last answer."""
        return [int(word) for word in Path(f"{self.answer}.text").read_text().split() if word != "done"]


def command(*asking: str) -> list[str]:
    """Return a command that asks each, one after the other, while all of them sleep at both ends."""
    return ["sh", "-c", "; ".join(["sleep 0.2", *asking, "sleep 0.2"])]


@contextlib.contextmanager
def called(program: Path, folder: Path, *, before: Sequence[str] = (), name: str = "c") -> Iterator[Called]:
    """Run the program; it sleeps until it is asked.

    :param before: Put before its command, such as `unshare --mount`.
    """
    question, answer = folder / f"{name}.question", folder / f"{name}.answer"
    os.mkfifo(question)
    os.mkfifo(answer)
    # Both ends are open all the time: it never reads the end of its input.
    start = f"exec {shlex.quote(str(program))} <> {question} 1<> {answer}"
    with child([*before, "sh", "-c", start]) as process:
        deadline = time.monotonic() + 10
        while Path(f"/proc/{process.pid}/comm").read_text() != f"{program.name[:15]}\n":
            assert time.monotonic() < deadline, "it did not start"
            time.sleep(0.01)
        yield Called(process.pid, question, answer)
