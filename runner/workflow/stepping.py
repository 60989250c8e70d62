"""The runs of an investigation: beside each other where none disturbs another, each our own command."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from runner.capture.read import read_capture
from runner.errors import ExitCode, Interrupted, NotWritten, Terminated
from runner.host import processes
from runner.lifetime import end_with_parent
from runner.workflow.beside import end_signal, waiting_command
from runner.workflow.command import own_command, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from runner.interrupts import Interrupts
    from runner.workflow.case_folder import CaseFolder
    from runner.workflow.documents import PlannedStep

_POLL_SECONDS = 0.05
_ATTACH_SECONDS = 120.0
"""Most that is waited until all that run beside each other are attached."""

_END_SECONDS = 60.0
"""Most that a run takes from the end of its window to its capture, before it is ended."""

_MOST_STDERR = 4000


@dataclass(slots=True)
class _Running:
    """A run that is under way."""

    step: PlannedStep
    process: subprocess.Popen[bytes]
    attached: str | None

    @property
    def is_attached(self) -> bool:
        return self.attached is not None and os.path.exists(self.attached)  # noqa: PTH110

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None


class TargetEnded(Exception):  # it is no error of ours
    """All processes that were asked for (--pid) have ended: there is nothing left to be measured."""


class Stepper:
    """Runs steps, and keeps what becomes of each in the case."""

    def __init__(
        self,
        folder: CaseFolder,
        bpftrace: str,
        signals: Interrupts,
        say: Callable[[str], None],
        pids: Sequence[int] = (),
    ) -> None:
        """Run nothing yet.

        :param say: Is told what is done now.
        :param pids: The processes that are asked for.
        """
        self._folder = folder
        self._bpftrace = bpftrace
        self._say = say
        self._pids = pids
        self._came: SimpleQueue[str] = SimpleQueue()
        signals.wake_up(self._came.put)
        self._take_away()

    def run(self, steps: Sequence[PlannedStep], seconds: float) -> None:
        """Run steps: those that may be beside anything first and for as long as what comes after them.

        :param seconds: How long those run at least, once all of them are attached.
        :raises Interrupted, Terminated: A signal came; what ran was ended, and has no capture.
        :raises TargetEnded: Likewise.
        """
        beside = [each for each in steps if each["beside"] == "any"]
        running: list[_Running] = []
        with self._ended_at_last(running), end_signal() as (read_end, write_end):
            if beside:
                self._say(f"tracing beside each other: {', '.join(each['recipe'] for each in beside)}")
            for each in beside:
                # One after the other: what fails to start ends those before it.
                running += [self._start(each, read_end, is_cut=each["seconds"] < seconds)]
            self._wait_until(
                lambda: all(each.is_attached or each.has_ended for each in running), _ATTACH_SECONDS
            )
            begun = time.monotonic()
            for step in steps:
                if step["beside"] == "attached":
                    self._run_alone(step)
            left = seconds - (time.monotonic() - begun)
            if running and left > 0:
                self._wait_until(lambda: all(each.has_ended for each in running), left)
            # Each reads its end.
            os.write(write_end, b"\n" * len(running))
            self._wait_until(lambda: all(each.has_ended for each in running), _END_SECONDS)
        for one in running:
            self._keep(one)
        for step in steps:
            if step["beside"] == "none":
                self._run_alone(step)

    def _run_alone(self, step: PlannedStep) -> None:
        self._say(f"tracing for {step['seconds']:g} s: {step['recipe']}")
        one: list[_Running] = []
        with self._ended_at_last(one):
            one.append(self._start(step, None))
            limit = step["seconds"] + _ATTACH_SECONDS + _END_SECONDS
            self._wait_until(lambda: one[0].has_ended, limit)
        self._keep(one[0])

    def _start(self, step: PlannedStep, read_end: int | None, *, is_cut: bool = False) -> _Running:
        path = self._made_path(step)
        words = ["run", step["recipe"], "--bpftrace", self._bpftrace, *step["arguments"]]
        words += ["--budget", step["budget"], "-f", "json", "-o", str(path)]
        attached = None
        if read_end is None:
            words += ["-d", f"{round(step['seconds'] * 1000)}ms"]
        else:
            attached = str(path.with_name(f".{step['name']}.attached"))
            with contextlib.suppress(FileNotFoundError):
                os.unlink(attached)  # noqa: PTH108
            words += ["--", *waiting_command(attached, step["seconds"] if is_cut else None)]
        argv = own_command(*words)
        self._folder.log("run", f"{step['stage']} of {step['layer']}", step=step["name"], argv=words)
        with self._stderr_path(step).open("wb") as stderr:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL if read_end is None else read_end,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=end_with_parent(),  # noqa: PLW1509
            )
        return _Running(step, process, attached)

    def _made_path(self, step: PlannedStep) -> Path:
        """Return where a run writes: it is no capture of the case before the run has ended as it was to end.

        What outlives us by a moment writes what it has, and that is no window.
        """
        return self._folder.captures / f".{step['name']}.json"

    def _stderr_path(self, step: PlannedStep) -> Path:
        return self._folder.captures / f".{step['name']}.stderr"

    def _wait_until(self, is_so: Callable[[], bool], seconds: float) -> None:
        """Wait until something is so, for as long as it may take.

        :raises Interrupted, Terminated: A signal came.
        :raises TargetEnded: The target did.
        """
        deadline = time.monotonic() + seconds
        # Whoever ends all processes at once ends the runs too: that is no end of theirs.
        self._raise_what_came(None)
        while not is_so() and time.monotonic() < deadline:
            if self._pids and all(map(processes.has_ended, self._pids)):
                raise TargetEnded
            self._raise_what_came(_POLL_SECONDS)
        self._raise_what_came(None)

    def _raise_what_came(self, seconds: float | None) -> None:
        """Raise the signal that came, or comes within so many seconds."""
        with contextlib.suppress(Empty):
            name = self._came.get(block=seconds is not None, timeout=seconds)
            kind = Terminated if name == "SIGTERM" else Interrupted
            raise kind(f"{name} during the investigation", hint="")

    @contextlib.contextmanager
    def _ended_at_last(self, running: list[_Running]) -> Iterator[None]:
        """End what still runs, and take away what a signal cut short: it is not what was asked for."""
        try:
            yield
        except BaseException:
            self._end(running)
            self._take_away()
            raise
        self._end(running)

    def _take_away(self) -> None:
        """Take away what runs left that were under way when the case was left, now or before."""
        for path in self._folder.captures.glob(".*"):
            path.unlink(missing_ok=True)

    def _end(self, running: list[_Running]) -> None:
        """End what still runs; what it writes then is no capture."""
        late = [each for each in running if not each.has_ended]
        for each in late:
            each.process.terminate()
        for each in late:
            try:
                each.process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                each.process.kill()
                each.process.wait()
            with contextlib.suppress(FileNotFoundError):
                self._made_path(each.step).unlink()

    def _keep(self, one: _Running) -> None:
        """Keep the capture of a run and its program, or why it has none.

        :raises NotWritten: There was no room for it: that says nothing of the recipe, and is done again.
        """
        if one.attached is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(one.attached)  # noqa: PTH108
        path = self._stderr_path(one.step)
        said = path.read_bytes().decode(errors="replace")[-_MOST_STDERR:]
        path.unlink()
        made = self._made_path(one.step)
        if made.exists():
            capture = read_capture(made)
            self._folder.keep_program(one.step, capture)
            made.replace(self._folder.capture_path(one.step))
            window = capture["window"]
            self._folder.log(
                "captured",
                f"grade {capture['quality']['grade']}, ended by {window['ended_by']}",
                step=one.step["name"],
                seconds=window["duration_seconds"],
            )
            return
        why = reason_of(said, one.process.returncode)
        if one.process.returncode == ExitCode.WRITE:
            raise NotWritten(
                f"{one.step['recipe']}: {why}",
                hint=f"make room, then: ebpf-recipe investigate --resume --case {self._folder.path}",
            )
        self._folder.keep_failure(one.step, why, one.process.returncode, said)
        self._folder.log("no capture", why, step=one.step["name"])
        self._say(f"{one.step['recipe']}: {why}")
