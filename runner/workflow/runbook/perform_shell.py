"""A shell step: a command without a terminal, and how it ended."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from runner.errors import ExitCode
from runner.workflow.command import run_command
from runner.workflow.runbook.result import Result
from runner.workflow.runbook.template import Template

if TYPE_CHECKING:
    from runner.workflow.runbook.model import ShellStep
    from runner.workflow.runbook.scene import Scene

SHELL = ("/bin/sh", "-e", "-c")
"""A line that fails ends the text."""


def perform_shell(step: ShellStep, scene: Scene) -> Result:
    """Run it.

    :raises ValueRefused: A value is wrong, or not there.
    """
    if isinstance(step.shell, str):
        text = Template(step.shell, is_shell=True).render(scene.context()).strip()
        argv, shown = [*SHELL, text], text
    else:
        argv = scene.words(step.shell)
        shown = shlex.join(argv)
    limit = None if step.timeout is None else scene.seconds("timeout", step.timeout)
    scene.tell("command", step.name, shown, argv=[scene.given.mask(word) for word in argv])
    lines = scene.lines(step.name)
    try:
        ended = run_command(
            argv,
            scene.signals,
            show=lines.feed,
            environment=scene.environment(step.environment),
            limit_seconds=limit,
        )
    except OSError as error:
        return Result(ExitCode.WORKLOAD, f"{argv[0]} cannot be started: {error.strerror}")
    lines.end()
    outputs: dict[str, Any] = {
        "stdout": scene.given.mask(ended.stdout.decode(errors="replace").rstrip("\n")),
        "stderr": scene.given.mask(ended.stderr.decode(errors="replace").rstrip("\n")),
        "exit_code": ended.exit_code,
    }
    if ended.is_late:
        return Result(ExitCode.WORKLOAD, f"it was ended: it took longer than {step.timeout}", outputs)
    if ended.exit_code:
        return Result(ExitCode.WORKLOAD, f"exit {ended.exit_code}", outputs)
    return Result(outputs=outputs)
