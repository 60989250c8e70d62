"""A run step: our own command in a process of its own, and what its capture says."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.capture.bounds import Measure
from runner.capture.measure import measure
from runner.capture.read import read_capture
from runner.errors import EbpfRecipeError
from runner.recipe.catalogue import find_recipe
from runner.workflow.command import own_command, run_command
from runner.workflow.runbook.check_recipe import limit_of, measured_subject, parse_gate, thresholds_for
from runner.workflow.runbook.model import GateStep, walk
from runner.workflow.runbook.result import Result
from runner.workflow.runbook.template import Template

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from runner.capture.bounds import Bound
    from runner.capture.condition import Limit
    from runner.capture.document import Capture
    from runner.recipe.model import Recipe
    from runner.workflow.runbook.model import Runbook, RunStep
    from runner.workflow.runbook.scene import Scene


@dataclass(frozen=True, slots=True)
class RunWords:
    """The words of a run of a recipe, as far as they are known.

    :param options: Between the recipe and `--`.
    """

    recipe: str
    options: list[str]
    command: list[str]

    def argv(self, *options: str) -> list[str]:
        """Return the words behind `ebpf-recipe`."""
        behind = ["--", *self.command] if self.command else []
        return ["run", self.recipe, *self.options, *options, *behind]


def words_of_run(step: RunStep, runbook: Runbook, context: Mapping[str, Any]) -> RunWords:
    """Return what a run step runs: its own values, and the thresholds that gates and measures ask for.

    :param context: What its texts are evaluated with.
    :raises ValueRefused, NotParsed: A value is wrong, or not there.
    """
    recipe = find_recipe(step.run).recipe
    texts = {name: _values(given, context) for name, given in step.given.items()}
    measured = [Template(text).render(context) for text in step.measure.values()]
    limits = [limit_of(measured_subject(recipe, text)) for text in measured]
    limits += _gates_on(step, runbook, recipe, context)
    made = thresholds_for(recipe, limits, {name: given for name, given in texts.items() if given})
    options = [f"--{name}={value}" for name, values in made.items() for value in values]
    for option, text in (("duration", step.duration), ("budget", step.budget), ("replay", step.replay)):
        if text is not None:
            options.append(f"--{option}={Template(text).render(context)}")
    command = [word for text in step.command or [] for word in _values(text, context)]
    return RunWords(step.run, options, command)


def _values(given: str | list[str], context: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the values of a text or of several; an expression that has none is left out."""
    found: list[str] = []
    for text in [given] if isinstance(given, str) else given:
        template = Template(text)
        value = template.value(context)
        if isinstance(value, list):
            found += [str(each) for each in value]
        elif value is not None:
            found.append(template.render(context))
    return tuple(found)


def _gates_on(step: RunStep, runbook: Runbook, recipe: Recipe, context: Mapping[str, Any]) -> list[Limit]:
    """Return the gates on a run whose values are known before it: those of what ends later are not."""
    gates = [each for each, _ in walk(runbook.steps) if isinstance(each, GateStep) and each.of == step.name]
    templates = [Template(text) for gate in gates for text in gate.conditions]
    known = [each for each in templates if all(reference.step is None for reference in each.references)]
    return [parse_gate(recipe, each.render(context)) for each in known]


def perform_run(step: RunStep, scene: Scene) -> Result:
    """Run a recipe.

    :raises EbpfRecipeError: It could not be begun.
    """
    words = words_of_run(step, scene.loaded.runbook, scene.context())
    path = scene.work.new_file(step.name)
    argv = own_command(*words.argv(*scene.run_options, "-f", "json", "-o", str(path)))
    shown = shlex.join(["ebpf-recipe", *words.argv(*scene.run_options, "-o", str(path))])
    scene.tell("command", step.name, shown, argv=[scene.given.mask(word) for word in argv])
    lines = scene.lines(step.name)
    # However long it takes to put its result away: it ends by itself.
    ended = run_command(argv, scene.signals, show=lines.feed, grace_seconds=None)
    lines.end()
    outputs: dict[str, Any] = {"exit_code": ended.exit_code}
    if path.is_file():
        outputs |= _outputs_of(step, path, scene)
    if ended.exit_code == 0:
        return Result(outputs=outputs)
    said = ended.stderr.decode(errors="replace").strip().splitlines()
    why = next((line for line in said if line.startswith("ebpf-recipe: ")), said[-1] if said else "")
    reason = why.removeprefix("ebpf-recipe: ") or f"exit {ended.exit_code}"
    return Result(ended.exit_code, scene.given.mask(reason), outputs)


def _outputs_of(step: RunStep, path: Path, scene: Scene) -> dict[str, Any]:
    try:
        capture = read_capture(path)
    except EbpfRecipeError:
        # Its own exit code says what became of it.
        return {}
    recipe = find_recipe(step.run).recipe
    measured = {name: _measured(capture, recipe, scene.text(text)) for name, text in step.measure.items()}
    grade, ended_by = capture["quality"]["grade"], capture["window"]["ended_by"]
    return {"capture": path.name, "grade": grade, "ended_by": ended_by, **measured}


def _measured(capture: Capture, recipe: Recipe, text: str) -> dict[str, Any]:
    found = measure(measured_subject(recipe, text), capture)
    if not isinstance(found, Measure):
        return {"lower": None, "upper": None, "unit": ""}
    return {"lower": _number(found.lower), "upper": _number(found.upper), "unit": found.unit}


def _number(bound: Bound) -> int | float | None:
    if bound is None:
        return None
    return bound.numerator if bound.denominator == 1 else float(bound)
