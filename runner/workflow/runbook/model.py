"""What a runbook says: its parameters and its steps, typed; nothing unknown is taken."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)

from runner.recipe.model_base import Id, Name, Strict, Text
from runner.recipe.vocabulary import Symptom
from runner.workflow.runbook.model_parameter import RunbookParameter

KINDS = ("run", "shell", "expect", "ask", "gate", "experiment", "repeat", "steps")
"""A step has one of these keys, and is of that kind."""

_TAG = "step:"

StepName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=40)]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)]


def _as_text(value: Any) -> Any:
    """Take numbers for the texts that they are written as; YAML's `yes` and `no` are booleans."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int | float) else value


def _regular_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"it is no regular expression: {error}") from error
    return text


Template = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(min_length=1),
    WithJsonSchema({"type": ["string", "number", "boolean"], "minLength": 1}),
]
"""A text that may hold `{{ … }}`."""
Argv = Annotated[list[Template], Field(min_length=1)]


def _shape(value: Any) -> str:
    """Return which of two forms a value has, so that what is wrong with it is said of that one alone."""
    return f"{_TAG}parts" if isinstance(value, list | dict | Strict) else f"{_TAG}text"


_AS_TEXT, _AS_PARTS = Tag(f"{_TAG}text"), Tag(f"{_TAG}parts")
_BY_SHAPE = Discriminator(_shape)


class OnFailure(Strict):
    """Steps that run where a step failed."""

    steps: Annotated[list["Step"], Field(min_length=1)]
    then: Literal["stop", "continue"] = "stop"
    """Whether the runbook ends after them."""


class StepBase(Strict):
    """What every step has."""

    name: StepName
    """Others name it by this; it stands once in a runbook."""
    description: Text | None = None
    """What whoever is on call has to know of it."""
    when: Text | None = None
    """It is skipped unless this expression is true: `steps.check.verdict == "fail"`."""
    on_failure: Annotated[
        Annotated[Literal["stop", "continue", "ignore"], _AS_TEXT] | Annotated[OnFailure, _AS_PARTS],
        _BY_SHAPE,
        Field(alias="on-failure"),
    ] = "stop"
    """`continue` goes on, and the runbook has failed in the end; `ignore` goes on. Where it is left out the
    runbook stops; inside a repeat a gate, shell or expect that fails is ignored: `until` judges."""


class RunStep(StepBase):
    """Run a recipe."""

    run: Id
    """The recipe."""
    given: Annotated[
        dict[str, Annotated[Annotated[Template, _AS_TEXT] | Annotated[list[Template], _AS_PARTS], _BY_SHAPE]],
        Field(alias="with", default_factory=dict),
    ]
    """Its parameters and target filters; one whose expression has no value is left out."""
    duration: Template | None = None
    budget: Template | None = None
    command: Argv | None = None
    """What is run meanwhile; without a duration the run lasts as long as it does."""
    measure: Annotated[dict[Name, Template], Field(default_factory=dict)]
    """Outputs of this step: statistics of its tables, as gates name them (`p99: latency.p99`)."""
    replay: Template | None = None
    """A recorded run to be decoded instead: to rehearse a runbook where nothing can be traced."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.replay is not None and (self.duration or self.budget or self.command):
            raise ValueError("a replayed run has no duration, budget or command: it is over")
        taken = [each for each in self.measure if each in RUN_OUTPUTS]
        if taken:
            raise ValueError(f"measure: {', '.join(taken)} is an output of every run")
        return self


class ShellStep(StepBase):
    """Run a command: a text for `sh -e`, or a list of words that no shell reads."""

    shell: Annotated[Annotated[Template, _AS_TEXT] | Annotated[Argv, _AS_PARTS], _BY_SHAPE]
    environment: Annotated[dict[Variable, Template], Field(default_factory=dict)]
    """Beside ours. The only way for a secret into a command."""
    timeout: Template | None = None
    """After so long it is ended, and has failed."""


class Exchange(Strict):
    """One thing that a program says, and what it is answered."""

    pattern: Annotated[Text, AfterValidator(_regular_expression)]
    """A regular expression of Python's; named groups are outputs of the step."""
    answer: Template | None = None
    """Without one the program is only waited for to say this."""


class ExpectStep(StepBase):
    """Run a program that talks back, on a terminal of its own."""

    expect: Argv
    dialog: Annotated[list[Exchange], Field(min_length=1)]
    """In this order."""
    environment: Annotated[dict[Variable, Template], Field(default_factory=dict)]
    timeout: Template = "30s"
    """For each pattern, and for the end."""

    @model_validator(mode="after")
    def _groups_once(self) -> Self:
        names = [name for each in self.dialog for name in re.compile(each.pattern).groupindex]
        twice = {name for name in names if names.count(name) > 1}
        taken = [name for name in names if name in EXPECT_OUTPUTS]
        if twice or taken:
            raise ValueError(f"a group has a name of its own: {', '.join([*sorted(twice), *taken])}")
        return self

    def groups(self) -> tuple[str, ...]:
        """Return the names of its patterns' groups."""
        return tuple(name for each in self.dialog for name in re.compile(each.pattern).groupindex)


class AskStep(StepBase):
    """Ask whoever runs the runbook."""

    ask: Template
    answer: Annotated[
        Annotated[Literal["yes-no", "text"], _AS_TEXT]
        | Annotated[list[Template], Field(min_length=2), _AS_PARTS],
        _BY_SHAPE,
    ] = "yes-no"
    """`yes-no`, `text`, or a list of which one is chosen."""
    default: Template | None = None
    """What Enter says, and `--yes`."""

    @model_validator(mode="after")
    def _default_fits(self) -> Self:
        choices = self.choices()
        if self.default is not None and choices and self.default not in choices:
            raise ValueError(f"its default {self.default!r} is none of {', '.join(choices)}")
        return self

    def choices(self) -> tuple[str, ...]:
        """Return what may be answered; nothing where any text may."""
        if isinstance(self.answer, list):
            return tuple(self.answer)
        return ("yes", "no") if self.answer == "yes-no" else ()


class GateStep(StepBase):
    """Hold conditions against the capture of a run."""

    gate: Annotated[
        Annotated[Template, _AS_TEXT] | Annotated[list[Template], Field(min_length=1), _AS_PARTS], _BY_SHAPE
    ]
    """One condition, or several."""
    of: StepName
    """The run step whose latest capture it is."""
    inconclusive: Literal["pass", "fail"] = "fail"
    """What a condition counts as that what is known does not decide."""

    @property
    def conditions(self) -> list[str]:
        """Return all of them."""
        return [self.gate] if isinstance(self.gate, str) else self.gate


class ExperimentStep(StepBase):
    """Try a change: a file, or the words of `ebpf-recipe experiment`."""

    experiment: Annotated[Annotated[Template, _AS_TEXT] | Annotated[Argv, _AS_PARTS], _BY_SHAPE]

    @property
    def words(self) -> list[str]:
        """Return the words behind `ebpf-recipe experiment`."""
        return [self.experiment] if isinstance(self.experiment, str) else list(self.experiment)


class Repeated(Strict):
    """Steps that are run again until a condition holds."""

    steps: Annotated[list["Step"], Field(min_length=1)]
    until: Text
    """An expression: `steps.healthy.verdict == "pass"`."""
    every: Template = "1s"
    """From the end of a round to the next."""
    at_most: Annotated[int, Field(alias="at-most", ge=1, le=1000)]
    """Rounds; where none of them fulfilled it the step has failed."""


class RepeatStep(StepBase):
    """Run steps again until a condition holds."""

    repeat: Repeated


class GroupStep(StepBase):
    """Steps that are run, skipped and failed together."""

    steps: Annotated[list["Step"], Field(min_length=1)]


AnyStep = RunStep | ShellStep | ExpectStep | AskStep | GateStep | ExperimentStep | RepeatStep | GroupStep


def _tag(value: Any) -> str | None:
    if isinstance(value, StepBase):
        return _TAG + kind_of(value)
    kinds = [each for each in KINDS if isinstance(value, dict) and each in value]
    return _TAG + kinds[0] if len(kinds) == 1 else None


Step = Annotated[
    Annotated[RunStep, Tag(f"{_TAG}run")]
    | Annotated[ShellStep, Tag(f"{_TAG}shell")]
    | Annotated[ExpectStep, Tag(f"{_TAG}expect")]
    | Annotated[AskStep, Tag(f"{_TAG}ask")]
    | Annotated[GateStep, Tag(f"{_TAG}gate")]
    | Annotated[ExperimentStep, Tag(f"{_TAG}experiment")]
    | Annotated[RepeatStep, Tag(f"{_TAG}repeat")]
    | Annotated[GroupStep, Tag(f"{_TAG}steps")],
    Discriminator(
        _tag,
        custom_error_type="step_kind",
        custom_error_message=f"a step has one of the keys {', '.join(KINDS)}",
    ),
]

_CLASSES: Mapping[type[StepBase], str] = {
    RunStep: "run",
    ShellStep: "shell",
    ExpectStep: "expect",
    AskStep: "ask",
    GateStep: "gate",
    ExperimentStep: "experiment",
    RepeatStep: "repeat",
    GroupStep: "steps",
}

RUN_OUTPUTS = ("capture", "grade", "ended_by", "exit_code")
SHELL_OUTPUTS = ("stdout", "stderr", "exit_code")
EXPECT_OUTPUTS = ("output", "exit_code")
EXPERIMENT_OUTPUTS = ("verdict", "reason", "state", "ending", "directory", "exit_code")
_OUTPUTS: Mapping[str, tuple[str, ...]] = {
    "run": RUN_OUTPUTS,
    "shell": SHELL_OUTPUTS,
    "expect": EXPECT_OUTPUTS,
    "ask": ("answer",),
    "gate": ("verdict",),
    "experiment": EXPERIMENT_OUTPUTS,
    "repeat": ("rounds",),
    "steps": (),
}


class Runbook(Strict):
    """A runbook."""

    runbook: Literal[1]
    """The version of this grammar."""
    id: Id
    """The file's name without its ending."""
    title: Annotated[Text, StringConstraints(max_length=80)]
    description: Text
    symptoms: tuple[Symptom, ...] = ()
    parameters: tuple[RunbookParameter, ...] = ()
    steps: Annotated[list[Step], Field(min_length=1)]

    @model_validator(mode="after")
    def _parameters_once(self) -> Self:
        names = [each.name for each in self.parameters]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"parameters: {', '.join(twice)} stands twice")
        return self


def kind_of(step: StepBase) -> str:
    """Return which kind a step is of."""
    return _CLASSES[type(step)]


def outputs_of(step: StepBase) -> tuple[str, ...]:
    """Return the names of what later steps can use of a step, `outcome` first."""
    own: tuple[str, ...] = ()
    if isinstance(step, RunStep):
        own = tuple(step.measure)
    elif isinstance(step, ExpectStep):
        own = step.groups()
    return ("outcome", *_OUTPUTS[kind_of(step)], *own)


def places_of_steps(step: StepBase) -> Iterator[tuple[tuple[str | int, ...], list[AnyStep]]]:
    """Return the lists of steps inside a step, in the order in which they run, and where they stand in it."""
    if isinstance(step, GroupStep):
        yield ("steps",), step.steps
    if isinstance(step, RepeatStep):
        yield ("repeat", "steps"), step.repeat.steps
    if isinstance(step.on_failure, OnFailure):
        yield ("on-failure", "steps"), step.on_failure.steps


def walk(
    steps: list[AnyStep], at: tuple[str | int, ...] = ("steps",)
) -> Iterator[tuple[AnyStep, tuple[str | int, ...]]]:
    """Return every step with its place, each before those inside it."""
    for number, step in enumerate(steps):
        place = (*at, number)
        yield step, place
        for inside, more in places_of_steps(step):
            yield from walk(more, (*place, *inside))


def without_tags(location: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return where in the file an error of the model is: the model names the kinds of steps too."""
    return tuple(part for part in location if not (isinstance(part, str) and part.startswith(_TAG)))
