"""An experiment step: a change tried by our own command in a process of its own, and its verdict."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import orjson

from runner.workflow.command import own_command, reason_of, run_command
from runner.workflow.runbook.result import Result

if TYPE_CHECKING:
    from runner.workflow.runbook.model import ExperimentStep
    from runner.workflow.runbook.scene import Scene


def perform_experiment(step: ExperimentStep, scene: Scene) -> Result:
    """Try the change; it is put back whatever happens.

    :raises ValueRefused: A value is wrong, or not there.
    """
    words = scene.words(step.words)
    path = scene.work.new_file(step.name)
    folder = path.with_suffix("")
    options = [f"--dir={folder}", "-f", "json", "-o", str(path), *scene.run_options]
    place = words.index("--") if "--" in words else len(words)
    argv = own_command("experiment", *words[:place], *options, *words[place:])
    shown = shlex.join(["ebpf-recipe", "experiment", *words[:place], f"--dir={folder}", *words[place:]])
    scene.tell("command", step.name, shown, argv=[scene.given.mask(word) for word in argv])
    lines = scene.lines(step.name)
    # However long it takes to put everything back: it ends by itself.
    ended = run_command(argv, scene.signals, show=lines.feed, grace_seconds=None)
    lines.end()
    outputs: dict[str, Any] = {"exit_code": ended.exit_code}
    try:
        result = orjson.loads(path.read_bytes())
        outputs |= {name: result[name] for name in ("verdict", "reason", "state", "ending", "directory")}
    except (OSError, orjson.JSONDecodeError, KeyError):
        # It was refused: its own words say why.
        outputs |= dict.fromkeys(("verdict", "reason", "state", "ending", "directory"))
    if ended.exit_code == 0:
        return Result(outputs=outputs)
    said = ended.stderr.decode(errors="replace")
    reason = str(outputs["reason"] or reason_of(said, ended.exit_code))
    return Result(ended.exit_code, scene.given.mask(reason), outputs)
