"""A process that works when it is told to, and sleeps otherwise: `python -m tests.laboratory.load NAME PATH`.

It listens on a Unix socket at PATH for one line of words, does what they say, and answers with one line of
JSON. So it sleeps when a trace begins and when it ends, and what the kernel counts of it in between is exactly
what happened in the window. `python -m tests.laboratory.load ask WORDS PATH…` tells several, at the same time, and
waits for all of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.laboratory.children import child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PR_SET_NAME = 15
_LIBC = ctypes.CDLL(None)


def rename(name: str) -> None:
    """Rename the calling thread."""
    _LIBC.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


_HERE, _THERE = os.pipe(), os.pipe()


def _partner() -> None:
    rename("partner")
    while True:
        os.write(_THERE[1], os.read(_HERE[0], 1))


def _switches(rounds: str) -> int:
    """Play ping-pong with the partner thread over two pipes: each round has two switches at least."""
    for _ in range(int(rounds)):
        os.write(_HERE[1], b"x")
        os.read(_THERE[0], 1)
    return int(rounds)


def _spin(seconds: str) -> float:
    """Use a processor until so much wall time has passed; return the CPU seconds used."""
    end, before = time.monotonic() + float(seconds), time.process_time()
    while time.monotonic() < end:
        pass
    return time.process_time() - before


def _sleep(times: str, milliseconds: str) -> list[int]:
    """Sleep so often; return how long each sleep was, in nanoseconds."""
    taken = []
    for _ in range(int(times)):
        before = time.monotonic_ns()
        time.sleep(int(milliseconds) / 1000)
        taken.append(time.monotonic_ns() - before)
    return taken


def _read(seconds: str) -> int:
    """Have the kernel compute until so much wall time has passed, in reads that take it long; return the bytes."""
    end, total = time.monotonic() + float(seconds), 0
    with Path("/dev/urandom").open("rb", buffering=0) as source:
        while time.monotonic() < end:
            total += len(source.read(1 << 24))
    return total


def _opens(times: str, folder: str) -> dict[str, int]:
    """Open a file in a folder so often in each way that this machine has, and as often one that is not there.

    Return how many opens succeeded and how many failed.
    """
    done = {"succeeded": 0, "failed": 0}
    for name in ("here", "not here"):
        path = f"{folder}/{name}".encode()
        for _ in range(int(times)):
            for way in WAYS_TO_OPEN:
                # To create it would make it be there.
                if name == "not here" and way is creat:
                    continue
                descriptor = way(path)
                done["failed" if descriptor < 0 else "succeeded"] += 1
                if descriptor >= 0:
                    os.close(descriptor)
    return done


_AT_FDCWD = -100
_OPENAT2 = 437
_X86_OPEN, _X86_CREAT = 2, 85


def _openat(path: bytes) -> int:
    return int(_LIBC.openat(_AT_FDCWD, path, os.O_RDONLY))


def _openat2(path: bytes) -> int:
    how = (ctypes.c_uint64 * 3)()
    return int(_LIBC.syscall(_OPENAT2, _AT_FDCWD, path, how, ctypes.c_size_t(ctypes.sizeof(how))))


def _open(path: bytes) -> int:
    return int(_LIBC.syscall(_X86_OPEN, path, os.O_RDONLY))


def creat(path: bytes) -> int:
    return int(_LIBC.syscall(_X86_CREAT, path, 0o600))


WAYS_TO_OPEN = [_openat, _openat2, *([_open, creat] if platform.machine() == "x86_64" else [])]


def _calls(times: str) -> int:
    """Call a function of the C library so often; return how often."""
    for _ in range(int(times)):
        _LIBC.getppid()
    return int(times)


def _forks(processes: str, threads: str) -> list[int]:
    """Create processes that end at once, and threads; return how many of each."""
    for _ in range(int(processes)):
        child_pid = os.fork()
        if child_pid == 0:
            os._exit(0)
        os.waitpid(child_pid, 0)
    for _ in range(int(threads)):
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
    return [int(processes), int(threads)]


def _reads(path: str, big: str, small: str) -> list[int]:
    """Read a whole file so often, and a little of it so often; return how long each call took, in nanoseconds."""
    taken = []
    descriptor = os.open(path, os.O_RDONLY)
    whole = os.fstat(descriptor).st_size
    # Of one buffer whose pages are there: what is measured is the call.
    buffer = ctypes.create_string_buffer(b"x" * whole, whole + 1)
    for size in [whole] * int(big) + [100] * int(small):
        before = time.monotonic_ns()
        _LIBC.pread64(descriptor, buffer, ctypes.c_size_t(size), ctypes.c_int64(0))
        taken.append(time.monotonic_ns() - before)
    os.close(descriptor)
    return taken


def _starts(times: str, program: str) -> list[int]:
    """Start a program so often, and as often one that is not there; return how many starts succeeded, and failed."""
    done = [0, 0]
    for path in (program, f"{program}.not"):
        for _ in range(int(times)):
            try:
                child_pid = os.posix_spawn(path, START_ARGUMENTS, {"SECRET": "not in the command line"})
            except FileNotFoundError:
                done[1] += 1
            else:
                os.waitpid(child_pid, 0)
                done[0] += 1
    return done


START_ARGUMENTS = [b"name", b"a b", b"", b"new\nline", b"\xff", b"'quoted'", b"x" * 100]
"""The command line of what `starts` starts."""

WORK: dict[str, Callable[..., Any]] = {
    "switches": _switches,
    "spin": _spin,
    "sleep": _sleep,
    "read": _read,
    "opens": _opens,
    "calls": _calls,
    "forks": _forks,
    "reads": _reads,
    "starts": _starts,
}


def serve(name: str, path: str) -> None:
    """Serve until the process is ended."""
    rename(name)
    # It lives as long as the process does: what /proc says of its switches does not go with it.
    threading.Thread(target=_partner, daemon=True).start()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("listening", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rw") as stream:
                word, *rest = stream.readline().split()
                stream.write(json.dumps(WORK[word](*rest)) + "\n")


def ask(words: str, *paths: str) -> list[Any]:
    """Tell every load the same at the same time; return their answers."""
    with contextlib.ExitStack() as stack:
        streams = []
        for path in paths:
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.connect(path)
            streams.append(stack.enter_context(connection.makefile("rw")))
        for stream in streams:
            stream.write(words + "\n")
            stream.flush()
        return [json.loads(stream.readline()) for stream in streams]


@dataclass(frozen=True, slots=True)
class Load:
    """A load that runs beside a test."""

    pid: int
    path: Path

    def threads(self) -> list[Path]:
        """Return the folders of its threads in /proc."""
        return list(Path(f"/proc/{self.pid}/task").iterdir())

    def wait_asleep(self) -> None:
        """Wait until all of its threads sleep: what it does before is no part of a trace."""
        while any(
            (each / "stat").read_text().rpartition(")")[2].split()[0] != "S" for each in self.threads()
        ):
            time.sleep(0.01)

    def schedstat(self) -> tuple[int, int, int]:
        """Return nanoseconds that its threads ran, nanoseconds that they waited to run, and how often they ran."""
        each = [(thread / "schedstat").read_text().split() for thread in self.threads()]
        ran, waited, times = (sum(int(one[place]) for one in each) for place in range(3))
        return ran, waited, times

    def switches(self) -> tuple[int, int]:
        """Return how often its threads left the processor of their own will, and otherwise."""
        found = [0, 0]
        for thread in self.threads():
            for line in (thread / "status").read_text().splitlines():
                if line.startswith(("voluntary_ctxt", "nonvoluntary_ctxt")):
                    found[line.startswith("non")] += int(line.split()[1])
        return found[0], found[1]


@contextlib.contextmanager
def load(
    name: str, folder: Path, *, cpu: int | None = None, module: str = "tests.laboratory.load"
) -> Iterator[Load]:
    """Run a load; it sleeps until it is asked.

    :param cpu: The only processor that it may use.
    :param module: Where there is other work than here.
    """
    path = folder / f"{name}.socket"
    argv = [sys.executable, "-m", module, name, str(path)]
    if cpu is not None:
        argv = ["taskset", "-c", str(cpu), *argv]
    with child(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"listening\n"
        one = Load(process.pid, path)
        one.wait_asleep()
        yield one


def asking(words: str, *loads: Load) -> list[str]:
    """Return the command that asks loads, whose answers it prints."""
    return [sys.executable, "-m", "tests.laboratory.load", "ask", words, *(str(one.path) for one in loads)]


def main() -> None:
    """Serve, or ask."""
    if sys.argv[1] == "ask":
        print(json.dumps(ask(*sys.argv[2:])), flush=True)
        # The window ends with this process: those that answered have gone to sleep by then.
        time.sleep(0.3)
    else:
        serve(*sys.argv[1:])


if __name__ == "__main__":
    main()
