"""What can be known of a runbook's steps before any is run: checked, and told by `--dry-run`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import EbpfRecipeError, HostRefused, ValueRefused
from runner.recipe.catalogue import find_recipe
from runner.workflow.experiment.load import load_experiment
from runner.workflow.runbook.check_recipe import parse_gate, said
from runner.workflow.runbook.context import context_of
from runner.workflow.runbook.model import (
    AskStep,
    ExpectStep,
    ExperimentStep,
    GateStep,
    OnFailure,
    RepeatStep,
    RunStep,
    ShellStep,
    kind_of,
    places_of_steps,
    walk,
)
from runner.workflow.runbook.needed import parameters_needed
from runner.workflow.runbook.perform_run import words_of_run
from runner.workflow.runbook.template import Expression, Template
from runner.workflow.runbook.texts import texts_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.workflow.runbook.given import Given
    from runner.workflow.runbook.load import LoadedRunbook
    from runner.workflow.runbook.model import AnyStep


Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A runbook with the values of its parameters."""

    loaded: LoadedRunbook
    given: Given

    def check(self, steps: Sequence[AnyStep]) -> None:
        """Check the values of steps that do not hang on others.

        :raises ValueRefused: With every one that is wrong, a line each.
        """
        wrong = list(self._missing(steps))
        for step, place in walk(self.loaded.runbook.steps):
            if not _is_in(step, steps) or not _is_known(step):
                continue
            if isinstance(step, ExperimentStep):
                wrong += self._wrong_experiment(step, place)
            if not isinstance(step, RunStep):
                continue
            of_gates = list(self._wrong_gates(step))
            wrong += of_gates
            try:
                words_of_run(step, self.loaded.runbook, self._context())
            except EbpfRecipeError as error:
                if not of_gates:
                    wrong.append(self._at((*place, "run"), f"{step.name}: {said(error)}"))
        if wrong:
            raise ValueRefused(self.given.mask("\n".join(wrong)))

    def _at(self, place: Place, text: str) -> str:
        line, column = self.loaded.file.place(place)
        return f"{self.loaded.path}:{line}:{column}: {text}"

    def _wrong_gates(self, run: RunStep) -> Iterator[str]:
        """Return what is wrong with the gates on a run whose values are known before it."""
        recipe = find_recipe(run.run).recipe
        for step, place in walk(self.loaded.runbook.steps):
            if isinstance(step, GateStep) and step.of == run.name and _is_known(step):
                for number, text in enumerate(step.conditions):
                    try:
                        parse_gate(recipe, Template(text).render(self._context()))
                    except EbpfRecipeError as error:
                        yield self._at((*place, "gate", number), f"{step.name}: {said(error)}")

    def _wrong_experiment(self, step: ExperimentStep, place: Place) -> Iterator[str]:
        """Return what is wrong with the file of an experiment."""
        words = [Template(text).render(self._context()) for text in step.words]
        if len(words) != 1:
            # Its own command says what is wrong with its words.
            return
        try:
            load_experiment(Path(words[0]))
        except EbpfRecipeError as error:
            yield self._at((*place, "experiment"), f"{step.name}: {said(error)}")

    def _missing(self, steps: Sequence[AnyStep]) -> Iterator[str]:
        """Return what steps need from the environment and nobody gave, a line for each parameter."""
        places = dict(reversed([*self._needed(steps)]))
        for parameter in self.loaded.runbook.parameters:
            is_from_outside = parameter.secret or parameter.environment is not None
            is_given = self.given.values[parameter.word] not in (None, [])
            if not is_from_outside or is_given or parameter.word not in places:
                continue
            variable = f" or ${parameter.environment}" if parameter.environment is not None else ""
            text = f"needs --{parameter.name}{variable}: {parameter.description}"
            yield self._at(places[parameter.word], text)

    def _needed(self, steps: Sequence[AnyStep]) -> Iterator[tuple[str, Place]]:
        for number, step in enumerate(self.loaded.runbook.steps):
            if step in steps:
                for word, (_, _, *place) in parameters_needed([step], self._context()):
                    yield word, ("steps", number, *place)

    def check_questions(self, steps: Sequence[AnyStep], *, takes_defaults: bool, has_operator: bool) -> None:
        """Refuse, before anything is done, what would wait for an answer that cannot come.

        :raises ValueRefused: A question has no default that `--yes` could take.
        :raises HostRefused: There is nobody to ask.
        """
        for step, place in walk(self.loaded.runbook.steps):
            if not isinstance(step, AskStep) or not _is_in(step, steps):
                continue
            where = self._at(place, f"the step {step.name} asks")
            if takes_defaults and step.default is None:
                raise ValueRefused(
                    f"{where}, and has no default for --yes", hint="run it on a terminal, without --yes"
                )
            if not takes_defaults and not has_operator:
                raise HostRefused(
                    f"{where}, and there is no terminal to ask on",
                    hint="--yes takes the defaults; or run it on a terminal",
                )

    def lines(self, steps: Sequence[AnyStep], depth: int = 0) -> Iterator[str]:
        """Return what would be done, a line each; values that steps will have stay as they are written."""
        indent = "  " * depth
        for step in steps:
            more = f": {step.description}" if step.description else ""
            yield f"{indent}{step.name} ({kind_of(step)}){more}"
            if step.when is not None:
                yield f"{indent}  when {step.when}"
            for line in self._does(step):
                yield f"{indent}  {self.given.mask(line)}"
            for inside, those in places_of_steps(step):
                if inside[0] == "on-failure":
                    policy = step.on_failure
                    then = policy.then if isinstance(policy, OnFailure) else ""
                    yield f"{indent}  where it fails, and then {then}:"
                yield from self.lines(those, depth + 2)
            if isinstance(step, RepeatStep):
                each = step.repeat
                yield f"{indent}  until {each.until}, every {each.every}, at most {each.at_most} rounds"
            if step.on_failure == "continue":
                yield f"{indent}  where it fails: continue"

    def _does(self, step: AnyStep) -> Iterator[str]:
        match step:
            case RunStep():
                yield self._run_line(step)
            case ShellStep():
                if isinstance(step.shell, str):
                    text = self._filled(step.shell, is_shell=True)
                else:
                    text = self._joined(step.shell)
                yield from (f"$ {line}" for line in text.strip().splitlines())
            case ExpectStep():
                yield f"$ {self._joined(step.expect)}"
                for exchange in step.dialog:
                    answer = exchange.answer
                    what = "" if answer is None else f" answer {answer}" if "{{" not in answer else " answer"
                    yield f"wait for {exchange.pattern}{what}"
            case AskStep():
                choices = "/".join(step.choices())
                default = f", default {step.default}" if step.default is not None else ""
                yield f"{self._filled(step.ask)} [{choices or 'text'}{default}]"
            case GateStep():
                yield from (f"{step.of}: {self._filled(gate)}" for gate in step.conditions)
            case ExperimentStep():
                yield f"$ ebpf-recipe experiment {self._joined(step.words)}"
            case _:
                pass

    def _run_line(self, step: RunStep) -> str:
        if _is_known(step):
            words = words_of_run(step, self.loaded.runbook, self._context()).argv()
            return f"$ {shlex.join(['ebpf-recipe', *words])}"
        given = " ".join(f"--{name}={text}" for name, text in step.given.items())
        return f"$ ebpf-recipe run {step.run} {given}"

    def _filled(self, text: str, *, is_shell: bool = False) -> str:
        template = Template(text, is_shell=is_shell)
        if any(each.step is not None for each in template.references):
            return text
        return template.render(self._context())

    def _joined(self, texts: list[str]) -> str:
        return " ".join(self._word(text) for text in texts)

    def _word(self, text: str) -> str:
        template = Template(text)
        if any(each.step is not None for each in template.references):
            return text
        value = template.value(self._context())
        return shlex.join([str(each) for each in value] if isinstance(value, list) else [str(value)])

    def _context(self) -> dict[str, Any]:
        return context_of(self.loaded, self.given, {}, None)


def earlier_steps_needed(steps: Sequence[AnyStep], later: Sequence[AnyStep]) -> set[str]:
    """Return the names of those steps whose outputs later ones refer to.

    :param steps: Those that are not run again.
    """
    before = {step.name for step, _ in walk(list(steps))}
    needed = set()
    for step, _ in walk(list(later)):
        conditions = [each for each in (step.when,) if each is not None]
        if isinstance(step, RepeatStep):
            conditions.append(step.repeat.until)
        references = [each for text in conditions for each in Expression(text).references]
        references += [each for text in texts_of(step) for each in Template(text.text).references]
        needed |= {each.step for each in references if each.step is not None}
        if isinstance(step, GateStep):
            needed.add(step.of)
    return needed & before


def _is_in(step: AnyStep, steps: Sequence[AnyStep]) -> bool:
    return any(step is each for each, _ in walk(list(steps)))


def _is_known(step: AnyStep) -> bool:
    """Whether its texts hang on parameters alone."""
    return all(
        reference.step is None for text in texts_of(step) for reference in Template(text.text).references
    )
