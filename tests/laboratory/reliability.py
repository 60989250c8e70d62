"""`make reliability`: runs that are ended at random moments, in every way; the table of what was left of them.

usage: python -m tests.laboratory.reliability SEED FILE
"""

import collections
import contextlib
import ctypes
import functools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from tests.laboratory.releases import paths, release_of

ROUNDS = 5
WINDOW_SECONDS = 2.0
LEFT_SECONDS = 3.0
STOPPED_SECONDS = 1.5
LONGEST_SECONDS = 150.0
PASSWORD = "correct horse"  # noqa: S105
WITH_USER = str(Path(__file__).with_name("with-user"))
COMMAND = str(Path(sys.executable).with_name("ebpf-recipe"))
_PR_SET_CHILD_SUBREAPER = 36

WAYS = (
    "runner SIGINT", "runner SIGTERM", "runner SIGHUP", "runner SIGKILL", "runner SIGSTOP, SIGCONT",
    "runner SIGSTOP, SIGKILL", "terminal closed", "bpftrace SIGINT", "bpftrace SIGTERM", "bpftrace SIGHUP",
    "bpftrace SIGKILL", "bpftrace SIGSTOP",
)  # fmt: skip

ROOT_ALONE = ("bpftrace SIGSTOP",)
"""A process that root stopped only root can continue: the runner says so, and what to type."""


@dataclass(frozen=True)
class Trial:
    """One run that is ended.

    :param moment: Seconds after its start; for bpftrace, after bpftrace's.
    """

    way: str
    bpftrace: str
    with_sudo: bool
    moment: float


@dataclass(frozen=True)
class Ending:
    """What was left of it.

    :param ended_at: When it was ended (seconds since 1970).
    :param left: Names of the processes of ours that were there 3 s after the runner.
    """

    exit_code: int | None
    capture: dict[str, Any] | None
    message: str
    left: list[str]
    ended_at: float = 0.0

    def outcome(self) -> str:
        """Return it in a few words."""
        if self.capture is not None:
            return f"{self.capture['quality']['grade']}, {self.capture['window']['ended_by']}"
        return f"message, exit {self.exit_code}" if self.message else f"none, exit {self.exit_code}"

    def is_good(self, trial: Trial) -> bool:
        """Whether nothing is left, and there is a capture or a message wherever the runner lived."""
        was_killed = trial.way.endswith("SIGKILL") and trial.way.startswith("runner")
        spoke = self.capture is not None or (bool(self.message) and self.exit_code not in (None, 0, 1, 70))
        # Before Python has begun, a signal ends it as it ends any program.
        was_ended = self.exit_code is not None and (self.exit_code < 0 or self.exit_code == INTERRUPTED)
        # While it begins, Python ends itself at a SIGINT.
        was_ended |= self.exit_code == 1 and self.message.startswith("Fatal Python error: init_")
        was_too_early = was_ended and trial.moment < EARLY_SECONDS
        # Who was told by the end of a terminal has nowhere to speak.
        spoke = spoke or (trial.way == "terminal closed" and self.exit_code == INTERRUPTED)
        return not self.left and not self._went_on(trial) and (was_killed or spoke or was_too_early)

    def _went_on(self, trial: Trial) -> bool:
        """Whether the window lasted although the runner was told to end it."""
        is_told = trial.way in ("runner SIGINT", "runner SIGTERM", "runner SIGHUP", "terminal closed")
        if not is_told or self.capture is None:
            return False
        end = datetime.fromisoformat(self.capture["window"]["ended_at"]).timestamp()
        return end > self.ended_at + REACTION_SECONDS


INTERRUPTED = 130
REACTION_SECONDS = 1.0

EARLY_SECONDS = 1.5
"""Until then, on a busy machine, Python and its modules are loaded: no handler of ours need be there."""


def trials(seed: int, rounds: int = ROUNDS) -> Iterator[Trial]:
    """Return every way, so often, on the releases in turn, every second one with sudo."""
    chance = random.Random(seed)  # noqa: S311
    releases = paths()
    number = 0
    for each in range(rounds):
        for way in WAYS:
            with_sudo = (number + each) % 2 == 1 and way not in ROOT_ALONE
            start = 0.6 if way.startswith("bpftrace") else 1.2
            yield Trial(
                way, releases[number % len(releases)], with_sudo, chance.uniform(0, start + WINDOW_SECONDS)
            )
            number += 1


def attempt(trial: Trial) -> Ending:
    """Run it, end it, and look at what is left."""
    before = set(_children(os.getpid()))
    with _orphans_are_ours(), tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        target = Path(folder) / "capture.json"
        run = [
            COMMAND,
            "run",
            "tcp-retrans",
            "-d",
            f"{WINDOW_SECONDS}s",
            "-o",
            str(target),
            "--bpftrace",
            trial.bpftrace,
        ]
        if trial.with_sudo:
            run = [WITH_USER, "tracer", PASSWORD, "ALL=ALL", *run, "--sudo", "--sudo-password-fd", "0"]
        with _started(run, on_terminal=trial.way == "terminal closed") as (process, terminal, said):
            if trial.way.startswith("bpftrace"):
                victim = _await_bpftrace(process)
            else:
                victim = process.pid
                if trial.with_sudo:
                    _await_command(process)
            time.sleep(trial.moment)
            ended_at = time.time()
            _end(trial.way, victim, process, terminal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LONGEST_SECONDS)
            left = _left(before)
            said.seek(0)
            message = said.read().decode(errors="replace").strip()
        capture = json.loads(target.read_bytes()) if target.exists() and target.stat().st_size else None
    return Ending(process.returncode, capture, message, left, ended_at)


@contextlib.contextmanager
def _orphans_are_ours() -> Iterator[None]:
    """Have processes whose parent ends become our children, so that none is overlooked."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


@contextlib.contextmanager
def _started(
    command: Sequence[str], *, on_terminal: bool
) -> Iterator[tuple[subprocess.Popen[bytes], int | None, IO[bytes]]]:
    with tempfile.TemporaryFile() as said:
        terminal, theirs = os.openpty() if on_terminal else (None, None)
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=theirs if on_terminal else subprocess.DEVNULL,
            stderr=theirs if on_terminal else said,
            start_new_session=True,
            preexec_fn=None if theirs is None else functools.partial(_control, theirs),  # noqa: PLW1509
        ) as process:
            if theirs is not None:
                os.close(theirs)
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(f"{PASSWORD}\n".encode())
                process.stdin.close()
            try:
                yield process, terminal, said
            finally:
                process.kill()


def _control(descriptor: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def _end(way: str, victim: int, process: subprocess.Popen[bytes], terminal: int | None) -> None:
    if terminal is not None:
        os.close(terminal)
        return
    for place, name in enumerate(way.partition(" ")[2].split(", ")):
        if place:
            time.sleep(STOPPED_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.Signals[name])


def _children(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_children(int(child))]
    return found


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    return ""


def _await(find: Callable[[], int | None], process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        found = find()
        if found is not None:
            return found
        time.sleep(0.005)
    return process.pid


def _await_bpftrace(process: subprocess.Popen[bytes]) -> int:
    def find() -> int | None:
        named = [(pid, _name(pid)) for pid in _children(process.pid)]
        return next(
            (pid for pid, name in reversed(named) if "-q -f json" in name and "sudo" not in name), None
        )

    return _await(find, process)


def _await_command(process: subprocess.Popen[bytes]) -> int:
    # with-user prepares the user first, and then becomes the command.
    python = str(Path(sys.executable).parent)
    return _await(lambda: process.pid if _name(process.pid).startswith(python) else None, process)


def _left(before: set[int]) -> list[str]:
    deadline = time.monotonic() + LEFT_SECONDS
    while True:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = [name for pid in set(_children(os.getpid())) - before if (name := _name(pid))]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def main() -> int:
    """Run all trials and write the table."""
    seed, target = int(sys.argv[1]), Path(sys.argv[2])
    outcomes: dict[str, collections.Counter[str]] = {way: collections.Counter() for way in WAYS}
    left: collections.Counter[str] = collections.Counter()
    bad = []
    for trial in trials(seed):
        ending = attempt(trial)
        outcomes[trial.way][ending.outcome()] += 1
        left[trial.way] += len(ending.left)
        print(f"{trial} -> {ending.outcome()} {ending.left}", flush=True)
        if not ending.is_good(trial):
            bad.append((trial, ending))
    releases = ", ".join(release_of(path) for path in paths())
    rows = [
        f"| {way} | {sum(counts.values())} | {left[way]} | "
        + "; ".join(f"{count} times {text}" for text, count in sorted(counts.items()))
        + " |"
        for way, counts in outcomes.items()
    ]
    target.write_text(TEXT.format(total=sum(sum(c.values()) for c in outcomes.values()), seed=seed,
                                  releases=releases, rows="\n".join(rows)))  # fmt: skip
    for trial, ending in bad:
        print(f"NOT AS IT SHOULD BE: {trial}: {ending}", file=sys.stderr)
    return 1 if bad else 0


TEXT = """\
# Ended at random moments

`make reliability` wrote this: {total} runs of `ebpf-recipe run tcp-retrans -d 2s -o FILE`, ended at random moments of
start, window and end (seed {seed}), on bpftrace {releases} in turn, every second one through `sudo` as a user without
privilege.

*Left* counts processes of ours that were still there 3 s after the runner. *Outcome* is the capture's grade and what
ended its window, or the message and exit code where nothing had been measured; a runner that is killed says nothing.
With sudo only root can stop bpftrace, and then only root can continue it: the runner says what to type. An exit code
below 0 is a signal that came before Python had begun. A closed terminal takes no message.

| ended | runs | left | outcome |
|---|---|---|---|
{rows}
"""

if __name__ == "__main__":
    sys.exit(main())
