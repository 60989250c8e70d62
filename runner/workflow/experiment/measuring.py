"""One run of an experiment: every recipe measures the same load, each from its beginning to its end."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import EbpfRecipeError, ExitCode, Interrupted, Terminated, ValueRefused
from runner.interrupts import LONGEST_WAIT_SECONDS
from runner.lifetime import end_with_parent
from runner.workflow.beside import end_signal, waiting_command
from runner.workflow.command import own_command, reason_of, run_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from runner.interrupts import Interrupts

ATTACH_SECONDS = 120.0
"""Most that is waited until those beside the first are attached."""

END_SECONDS = 60.0
"""Most that a run takes from its end to its capture."""

_POLL_SECONDS = 0.05
_MOST_LINES = 5


class RunFailed(EbpfRecipeError):
    """A run of an experiment has no capture, or its load failed.

    :param exit_code: Of the run: 7 where it is the load's.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Measured:
    """A recipe that measures.

    :param words: Of `ebpf-recipe run`: the recipe and its options.
    """

    recipe: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Load:
    """What each run lasts.

    :param argv: The command; empty where the load comes by itself.
    :param duration: How long then.
    :param prepare: Runs before; empty for nothing.
    """

    argv: tuple[str, ...]
    duration: str | None
    prepare: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """Return the end of the first recipe's words."""
        return ["--", *self.argv] if self.argv else ["-d", str(self.duration)]

    def check(self) -> None:
        """Refuse commands that are not there.

        :raises ValueRefused: One is not, or may not be run.
        """
        for argv in (self.argv, self.prepare):
            if argv and shutil.which(argv[0]) is None:
                raise ValueRefused(f"{argv[0]}: there is no such command, or it cannot be run")


def check_signals(signals: Interrupts) -> None:
    """Raise the first signal that came.

    :raises Interrupted, Terminated: One did.
    """
    if signals.first is not None:
        kind = Terminated if signals.first == "SIGTERM" else Interrupted
        raise kind(f"{signals.first} during the experiment")


def wait(seconds: float, signals: Interrupts) -> None:
    """Wait, unless a signal comes.

    :raises Interrupted, Terminated: One came.
    """
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        check_signals(signals)
        time.sleep(min(left, LONGEST_WAIT_SECONDS))
    check_signals(signals)


def record(measures: Sequence[Measured], load: Load, paths: Sequence[Path], signals: Interrupts) -> float:
    """Record one run; return how long it took, start of bpftrace and preparation included, in seconds.

    :param paths: Where the capture of each recipe goes.
    :raises RunFailed: The load or a recipe failed.
    :raises Interrupted, Terminated: A signal came.
    """
    began = time.monotonic()
    if load.prepare:
        _prepare(load.prepare, signals)
    with _beside(measures[1:], paths[1:], signals):
        ended = run_command(_argv(measures[0], paths[0], load.words), signals, grace_seconds=None)
    check_signals(signals)
    if ended.exit_code:
        failed = _failed(measures[0].recipe, ended.stderr, ended.exit_code)
        if ended.exit_code == ExitCode.WORKLOAD:
            failed.message += _last_words(ended.stderr)
        raise failed
    for measure, path in zip(measures, paths, strict=True):
        if not path.is_file():
            raise RunFailed(f"{measure.recipe}: it left no capture", 5)
    return time.monotonic() - began


def _prepare(argv: Sequence[str], signals: Interrupts) -> None:
    try:
        ended = run_command(list(argv), signals)
    except OSError as error:
        raise RunFailed(f"prepare: {argv[0]}: {error.strerror}", 7) from error
    check_signals(signals)
    if ended.exit_code:
        raise RunFailed(f"prepare: {reason_of(ended.stderr.decode(errors='replace'), ended.exit_code)}", 7)


def _argv(measure: Measured, path: Path, end: Sequence[str]) -> list[str]:
    return own_command("run", *measure.words, "-f", "json", "-o", str(path), *end)


@contextlib.contextmanager
def _beside(measures: Sequence[Measured], paths: Sequence[Path], signals: Interrupts) -> Iterator[None]:
    """Have recipes measure for as long as the context lasts.

    :raises RunFailed: One failed.
    """
    running: list[tuple[Measured, Path, subprocess.Popen[bytes]]] = []
    with end_signal() as (read_end, write_end):
        try:
            for measure, path in zip(measures, paths, strict=True):
                attached = path.with_suffix(".attached")
                argv = _argv(measure, path, ["--", *waiting_command(str(attached))])
                with path.with_suffix(".stderr").open("wb") as stderr:
                    process = subprocess.Popen(
                        argv,
                        stdin=read_end,
                        stdout=subprocess.DEVNULL,
                        stderr=stderr,
                        start_new_session=True,
                        preexec_fn=end_with_parent(),  # noqa: PLW1509
                    )
                running.append((measure, path, process))
                _wait_for(attached, process, signals)
            yield
            os.write(write_end, b"\n" * len(running))
            for measure, path, process in running:
                code = process.wait(END_SECONDS)
                if code:
                    said = path.with_suffix(".stderr").read_bytes()
                    raise _failed(measure.recipe, said, code)
        except subprocess.TimeoutExpired as error:
            raise RunFailed("a recipe did not end", 5) from error
        finally:
            _end([process for _, _, process in running])
            for _, path, _ in running:
                for suffix in (".attached", ".stderr"):
                    path.with_suffix(suffix).unlink(missing_ok=True)


def _wait_for(attached: Path, process: subprocess.Popen[bytes], signals: Interrupts) -> None:
    deadline = time.monotonic() + ATTACH_SECONDS
    while not attached.exists() and process.poll() is None and time.monotonic() < deadline:
        check_signals(signals)
        time.sleep(_POLL_SECONDS)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    late = [each for each in processes if each.poll() is None]
    for each in late:
        each.terminate()
    for each in late:
        try:
            each.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            each.kill()
            each.wait()


def _failed(recipe: str, stderr: bytes, exit_code: int) -> RunFailed:
    return RunFailed(f"{recipe}: {reason_of(stderr.decode(errors='replace'), exit_code)}", exit_code)


def _last_words(stderr: bytes) -> str:
    """Return what a load said before it failed; what is ours begins with our name or is indented."""
    lines = stderr.decode(errors="replace").splitlines()
    own = next((n for n, line in enumerate(lines) if line.startswith("ebpf-recipe:")), len(lines))
    said = [line.strip() for line in lines[:own] if line.strip()][-_MOST_LINES:]
    return f"; it said: {' | '.join(said)}" if said else ""
