"""An expect step: a program on a terminal of its own, whose questions are answered."""

from __future__ import annotations

import os
import re
import select
import shlex
import time
from typing import TYPE_CHECKING, Any

import pexpect

from runner.errors import ExitCode
from runner.interrupts import LONGEST_WAIT_SECONDS
from runner.lifetime import end_with_parent
from runner.workflow.process_group import ProcessGroup
from runner.workflow.runbook.result import Result

if TYPE_CHECKING:
    from runner.workflow.runbook.model import ExpectStep
    from runner.workflow.runbook.output_lines import OutputLines
    from runner.workflow.runbook.scene import Scene

MOST_CHARACTERS = 1 << 20
"""So much may a program print; what prints more without end would be kept in memory."""
_LAST_LINES, _LAST_CHARACTERS = 3, 300
_HANG_UP_SECONDS = 2.0
_ROWS_AND_COLUMNS = (50, 500)
"""Wide: a question that the terminal breaks in two is not found."""


class _TooMuch(Exception):
    """A program printed more than anybody reads."""


class _Screen:
    """What a program prints, as pexpect reads it."""

    def __init__(self, lines: OutputLines) -> None:
        self.text = ""
        self._lines = lines

    def write(self, text: str) -> None:
        shown = text.replace("\r\n", "\n")
        self.text += shown
        self._lines.feed_text(shown)
        if len(self.text) > MOST_CHARACTERS:
            raise _TooMuch

    def flush(self) -> None:
        pass

    def last(self) -> str:
        """Return what it printed last, in one line."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return " / ".join(lines[-_LAST_LINES:])[-_LAST_CHARACTERS:] or "nothing"


if TYPE_CHECKING:
    _Spawn = pexpect.spawn[str]
else:
    _Spawn = pexpect.spawn


class _Program(_Spawn):
    """A program that may leave its terminal and run on: pexpect waits without end for its end then."""

    def isalive(self) -> bool:
        """Return whether it runs, without waiting for its end."""
        has_left, self.flag_eof = self.flag_eof, False
        try:
            return bool(super().isalive())
        finally:
            self.flag_eof = has_left


def perform_expect(step: ExpectStep, scene: Scene) -> Result:
    """Run the program and answer it.

    :raises ValueRefused: A value is wrong, or not there.
    """
    argv = scene.words(step.expect)
    seconds = scene.seconds("timeout", step.timeout)
    answers = [None if each.answer is None else scene.text(each.answer) for each in step.dialog]
    environment = {**scene.environment(step.environment), "TERM": "dumb"}
    scene.tell("command", step.name, shlex.join(argv), argv=[scene.given.mask(word) for word in argv])
    lines = scene.lines(step.name)
    screen = _Screen(lines)
    try:
        program = _Program(
            argv[0],
            argv[1:],
            env=environment,
            encoding="utf-8",
            codec_errors="replace",
            # What we answer is not printed by the terminal a second time.
            echo=False,
            dimensions=_ROWS_AND_COLUMNS,
            preexec_fn=end_with_parent(),
        )
    except (pexpect.ExceptionPexpect, OSError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Result(ExitCode.WORKLOAD, f"{argv[0]} cannot be started: {why}")
    program.delaybeforesend = None
    program.logfile_read = screen
    assert program.pid is not None
    group = ProcessGroup(program.pid)
    scene.signals.wake_up(group.send)
    outputs: dict[str, Any] = {}
    try:
        reason = _talk(step, program, seconds, answers, outputs, scene)
    except _TooMuch:
        reason = f"it printed more than {MOST_CHARACTERS >> 10} KiB without what it was to say"
    finally:
        code = _end(program, group, seconds)
        scene.signals.keep_from_now_on()
        lines.end()
    outputs |= {"output": scene.given.mask(screen.text.strip("\n")), "exit_code": code}
    if reason is not None:
        last = scene.given.mask(screen.last())
        return Result(ExitCode.WORKLOAD, f"{reason}; it printed last: {last}", outputs)
    return Result(ExitCode.WORKLOAD if code else ExitCode.DONE, f"exit {code}" if code else None, outputs)


def _talk(
    step: ExpectStep,
    program: Any,
    seconds: float,
    answers: list[str | None],
    outputs: dict[str, Any],
    scene: Scene,
) -> str | None:
    """Wait for each pattern and answer it; return why that went wrong."""
    for number, (exchange, answer) in enumerate(zip(step.dialog, answers, strict=True), 1):
        what = f"pattern {number} of {len(answers)} ({exchange.pattern})"
        found = _awaited(program, [re.compile(exchange.pattern), pexpect.EOF], seconds)
        if found == 1:
            return f"it ended before {what}"
        if found is None:
            return f"{what} did not come in {step.timeout}"
        groups = program.match.groupdict(default="")
        outputs |= {name: scene.given.mask(text) for name, text in groups.items()}
        if answer is not None:
            program.sendline(answer)
            scene.tell("answered", step.name, f"answered {what}")
    if _awaited(program, [pexpect.EOF], seconds) is None:
        return f"it did not end within {step.timeout} after its last pattern"
    return None


def _awaited(program: Any, patterns: list[Any], seconds: float) -> int | None:
    """Return which of some patterns came; None where none did in time."""
    end = time.monotonic() + seconds
    while True:
        left = max(0.0, end - time.monotonic())
        found = int(program.expect([*patterns, pexpect.TIMEOUT], timeout=min(left, LONGEST_WAIT_SECONDS)))
        if found < len(patterns):
            return found
        if left <= LONGEST_WAIT_SECONDS:
            return None


def _end(program: Any, group: ProcessGroup, seconds: float) -> int:
    """End the program, or wait for one that left its terminal; return its exit code, as shells say it.

    :param seconds: For the one that left.
    """
    if program.isalive():
        descriptor = os.pidfd_open(program.pid)
        try:
            has_ended = select.poll()
            has_ended.register(descriptor, select.POLLIN)
            if not has_ended.poll(seconds * 1000 if program.flag_eof else 0):
                group.send("SIGHUP")
                has_ended.poll(_HANG_UP_SECONDS * 1000)
        finally:
            os.close(descriptor)
    group.forget()
    program.wait()
    program.close(force=True)
    if program.signalstatus is not None:
        return 128 + int(program.signalstatus)
    return int(program.exitstatus or 0)
