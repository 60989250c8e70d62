"""What the model cannot know of a runbook: names, references, recipes, gates and where secrets stand."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from runner.errors import ValueRefused
from runner.recipe.durations import parse_with_unit
from runner.recipe.finding import Finding
from runner.workflow.runbook.check_recipe import recipe_problems, said
from runner.workflow.runbook.model import (
    GateStep,
    RepeatStep,
    RunStep,
    kind_of,
    outputs_of,
    places_of_steps,
    walk,
)
from runner.workflow.runbook.sample import Sample
from runner.workflow.runbook.shell_text import misplaced_value
from runner.workflow.runbook.template import ROOTS, Expression, NotATemplate, Template
from runner.workflow.runbook.texts import texts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.recipe.yaml_file import YamlFile
    from runner.workflow.runbook.model import AnyStep, Runbook
    from runner.workflow.runbook.template import Reference
    from runner.workflow.runbook.texts import StepText

Place = tuple[str | int, ...]

OF_RUNBOOK = ("directory",)
"""What `runbook.…` has: the directory of the file."""


def check(file: YamlFile, runbook: Runbook) -> Iterator[Finding]:
    """Return what is wrong with a runbook that the model accepts."""
    yield from _names(file, runbook)
    yield from _Order(file, runbook).findings()
    sample = Sample(runbook)
    gates = [(step, place) for step, place in walk(runbook.steps) if isinstance(step, GateStep)]
    for step, place in walk(runbook.steps):
        if isinstance(step, RunStep):
            of_it = [(gate, at) for gate, at in gates if gate.of == step.name]
            for rule, at, text in recipe_problems(step, place, of_it, sample):
                yield file.finding(rule, at, text)


def _names(file: YamlFile, runbook: Runbook) -> Iterator[Finding]:
    first: dict[str, Place] = {}
    for step, place in walk(runbook.steps):
        other = first.setdefault(step.name, place)
        if other != place:
            line, _ = file.place((*other, "name"))
            text = f"the step {step.name} stands twice, first in line {line}"
            yield file.finding("runbook-name", (*place, "name"), text)


class _Order:
    """Follows the steps in the order in which they run: what they refer to has to be there by then."""

    def __init__(self, file: YamlFile, runbook: Runbook) -> None:
        self._file = file
        self._runbook = runbook
        self._all = {step.name: place for step, place in walk(runbook.steps)}
        self._done: dict[str, AnyStep] = {}
        self._parameters = {each.word: each for each in runbook.parameters}

    def findings(self) -> Iterator[Finding]:
        yield from self._steps(self._runbook.steps, ("steps",))

    def _steps(self, steps: list[AnyStep], at: Place) -> Iterator[Finding]:
        for number, step in enumerate(steps):
            yield from self._step(step, (*at, number))

    def _step(self, step: AnyStep, place: Place) -> Iterator[Finding]:
        if step.when is not None:
            yield from self._condition(step, step.when, (*place, "when"))
        for text in texts_of(step):
            yield from self._text(step, text, (*place, *text.place))
        if isinstance(step, GateStep) and not isinstance(self._done.get(step.of), RunStep):
            yield self._file.finding("runbook-reference", (*place, "of"), self._why_no_run(step))
        for inside, steps in places_of_steps(step):
            if inside[0] != "on-failure":
                yield from self._steps(steps, (*place, *inside))
        if isinstance(step, RepeatStep):
            yield from self._condition(step, step.repeat.until, (*place, "repeat", "until"))
        self._done[step.name] = step
        for inside, steps in places_of_steps(step):
            if inside[0] == "on-failure":
                yield from self._steps(steps, (*place, *inside))

    def _condition(self, step: AnyStep, text: str, place: Place) -> Iterator[Finding]:
        try:
            expression = Expression(text)
        except NotATemplate as error:
            yield self._file.finding("runbook-template", place, f"`{text}`: {error}")
            return
        for reference in expression.references:
            yield from self._reference(step, reference, place, may_be_secret=False)

    def _text(self, step: AnyStep, text: StepText, place: Place) -> Iterator[Finding]:
        try:
            template = Template(text.text, is_shell=text.use == "shell")
        except NotATemplate as error:
            yield self._file.finding("runbook-template", place, str(error))
            return
        misplaced = misplaced_value(template.pieces) if text.use == "shell" else None
        if misplaced is not None:
            at = self._file.place_in(place, "{{", misplaced.number)
            yield Finding(str(self._file.path), *at, "runbook-template", misplaced.why)
        may_be_secret = text.use in ("answer", "environment")
        for reference in template.references:
            yield from self._reference(step, reference, place, may_be_secret=may_be_secret)
        if text.use == "duration" and not template.references:
            try:
                parse_with_unit(str(text.place[-1]), text.text)
            except ValueRefused as error:
                yield self._file.finding("runbook-value", place, said(error))

    def _reference(
        self, step: AnyStep, reference: Reference, place: Place, *, may_be_secret: bool
    ) -> Iterator[Finding]:
        why = self._why_nothing(step, reference)
        if why is not None:
            yield self._file.finding("runbook-reference", place, f"`{reference}`: {why}")
        elif not may_be_secret and reference.path[0] == "parameters":
            parameter = self._parameters[reference.path[1].replace("-", "_")]
            if parameter.secret:
                text = f"{parameter.name} is secret: it stands in answers and under environment alone"
                yield self._file.finding("runbook-secret", place, text)

    def _why_nothing(self, step: AnyStep, reference: Reference) -> str | None:
        """Return why a reference leads nowhere; None where it leads to a value."""
        root, *rest = reference.path
        if root not in ROOTS:
            return f"there is no such name; there are {', '.join(ROOTS)}{near(root, ROOTS)}"
        if not rest:
            return f"say which one: {root}.NAME"
        if root == "runbook":
            return None if rest[0] in OF_RUNBOOK else f"there is {', '.join(OF_RUNBOOK)}"
        if root == "parameters":
            word = rest[0].replace("-", "_")
            if word in self._parameters:
                return None
            return f"there is no such parameter{near(word, self._parameters)}"
        name = reference.step or ""
        if name == step.name:
            return "a step does not know its own outcome"
        if name not in self._all:
            return f"there is no step {name}{near(name, self._all)}"
        if name not in self._done:
            line, _ = self._file.place(self._all[name])
            return f"the step {name} (line {line}) has not ended by then"
        return _why_no_output(self._done[name], rest[1:])

    def _why_no_run(self, gate: GateStep) -> str:
        runs = [name for name, step in self._done.items() if isinstance(step, RunStep)]
        there = f"; before it there are {', '.join(runs)}" if runs else ""
        return f"there is no run step {gate.of} before this gate{there}"


def _why_no_output(step: AnyStep, path: list[str]) -> str | None:
    there = outputs_of(step)
    what = f"the {kind_of(step)} step {step.name} has the outputs {', '.join(there)}"
    if not path:
        return f"say which output: {what}"
    if path[0] not in there:
        return f"{what}{near(path[0], there)}"
    parts = ("lower", "upper", "unit")
    if isinstance(step, RunStep) and path[0] in step.measure and path[1:2] and path[1] not in parts:
        return f"what was measured has {', '.join(parts)}"
    return None


def near(name: str, names: Iterable[str]) -> str:
    """Return the question for the names that are nearest to a mistyped one; empty where none is near."""
    found = difflib.get_close_matches(name, list(names), n=3, cutoff=0.6)
    return f": did you mean {', '.join(found)}?" if found else ""
