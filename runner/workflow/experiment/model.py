"""What an experiment says: the change, the load, what is measured; nothing unknown is taken."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from runner.recipe.model_base import Id, Strict, Text
from runner.recipe.model_setting import CommandSpec, Requirement, SettingSpec, Value
from runner.recipe.remedy_values import VALUE_TYPES

Word = Value
"""A word of a command, or a value: a number stands for the text that it is written as."""
SHAPES = ("as:text", "as:several")
"""Which of two forms a value has, so that what is wrong with it is said of that one alone."""


def _shape(value: Any) -> str:
    return SHAPES[isinstance(value, list | tuple)]


_BY_SHAPE = Discriminator(_shape)
Command = Annotated[
    Annotated[Text, Tag(SHAPES[0])] | Annotated[list[Word], Field(min_length=1), Tag(SHAPES[1])], _BY_SHAPE
]
"""A text for `sh -e`, or words that no shell reads."""
Several = Annotated[
    Annotated[Word, Tag(SHAPES[0])] | Annotated[list[Word], Field(min_length=1), Tag(SHAPES[1])], _BY_SHAPE
]
"""A value, or several."""

Netns = Annotated[str, StringConstraints(pattern=f"^{VALUE_TYPES['word'].pattern}$", max_length=100)]


class ChangeSpec(Strict):
    """What is changed: a remedy with its values, or settings."""

    remedy: Id | None = None
    given: Annotated[dict[str, Word], Field(alias="with", default_factory=dict)]
    """Values of the remedy's parameters."""
    settings: tuple[SettingSpec, ...] = ()
    requires: tuple[Requirement, ...] = ()
    netns: Netns | None = None
    """The network namespace in which all of it is changed (`ip netns`)."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.remedy is None) == (not self.settings):
            raise ValueError("it has a remedy, or settings")
        if self.remedy is None and self.given:
            raise ValueError("with: only a remedy has parameters")
        if self.remedy is not None and self.requires:
            raise ValueError("requires: the remedy says what it requires")
        names = [each.name for each in self.settings if isinstance(each, CommandSpec)]
        if len(set(names)) != len(names):
            raise ValueError("two settings have the same name")
        return self


class MeasureSpec(Strict):
    """A recipe whose captures are compared."""

    recipe: Id
    given: Annotated[dict[str, Several], Field(alias="with", default_factory=dict)]
    """Its parameters and target filters."""
    primary: tuple[Text, ...] = ()
    """Outcomes that decide in place of the recipe's own: `latency.above(10ms)`."""
    margin: Text | None = None
    """A change that is none: `10%`."""
    gates: tuple[Text, ...] = ()


class Experiment(Strict):
    """An experiment."""

    experiment: Literal[1]
    """The version of this grammar."""
    id: Id
    """The file's name without its ending."""
    title: Annotated[Text, StringConstraints(max_length=80)]
    description: Text | None = None
    change: ChangeSpec
    load: Command | None = None
    """Runs once in each run, which lasts as long as it does. What it did it writes to `$EBPF_RECIPE_WORK`."""
    duration: Word | None = None
    """In place of a load, where it comes by itself: how long each run is."""
    prepare: Command | None = None
    """Runs before each run, and is not measured: it makes each begin from the same."""
    settle: Word = "1s"
    """How long is waited after the change was switched on or off."""
    warm_up: Annotated[int, Field(alias="warm-up", ge=1, le=20)] = 1
    """Runs that are not compared, before anything is changed: the first says how long all will take."""
    rounds: Annotated[int, Field(ge=1, le=25)] | None = None
    """Blocks of four runs, two without and two with the change; the least that can decide where left out."""
    measure: Annotated[tuple[MeasureSpec, ...], Field(min_length=1, max_length=8)]
    """The first decides; where another is worse, nothing is kept."""

    @model_validator(mode="after")
    def _has_one_load(self) -> Self:
        if (self.load is None) == (self.duration is None):
            raise ValueError("it has a load, or a duration where the load comes by itself")
        names = [each.recipe for each in self.measure]
        if len(set(names)) != len(names):
            raise ValueError("measure: a recipe stands there twice")
        return self


def argv_of(command: Any) -> list[str]:
    """Return the words of a command."""
    return ["sh", "-ec", command] if isinstance(command, str) else list(command)
