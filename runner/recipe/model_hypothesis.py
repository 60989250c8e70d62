"""A hypothesis: one cause that a symptom may have, and what to do about it; one YAML file each."""

from collections.abc import Mapping
from string import Template
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from runner.recipe.model import Title
from runner.recipe.model_base import Id, Strict, Text
from runner.recipe.vocabulary import Layer, Symptom

PLACES = ("target", "device", "cgroup", "quota", "throttled", "unlimited")
"""What texts leave open for the investigation to fill in, as `$device`; `$$` is a dollar sign."""


class Sign(Strict):
    """A line of the host's own counters (docs/companions.md) that speaks for it."""

    sign: Id
    establishes: bool = False
    reason: Text


class ProposedRemedy(Strict):
    """A remedy (recipes/remedies) with its values, or advice: something that no command changes."""

    remedy: Id | None = None
    given: Annotated[dict[str, Text], Field(alias="with", default_factory=dict)]
    """Values of its parameters; what the investigation knows stands there as `$device`."""
    title: Text | None = None
    """Of advice."""
    caution: Text | None = None
    """When it is not to be done, or what it costs; of a remedy beside what that says itself."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if (self.remedy is None) == (self.title is None):
            raise ValueError("it has a remedy, or the title of advice")
        if self.remedy is None and self.given:
            raise ValueError("with: advice has no parameters")
        return self


class Hypothesis(Strict):
    """One cause."""

    schema_version: Literal[1] = Field(alias="schema")
    id: Id
    title: Title
    layer: Layer
    symptoms: Annotated[tuple[Symptom, ...], Field(min_length=1)]
    description: Text
    signs: tuple[Sign, ...] = ()
    parts: tuple[Id, ...] = ()
    """The parts of threads' time that are its own, by which it is ranked."""
    shows_as: tuple[Id, ...] = ()
    """Other hypotheses that are true where it is, for it is behind them: they rank after it."""
    details: tuple[Id, ...] = ()
    """Recipes that say more of it, the most telling first."""
    remedies: tuple[ProposedRemedy, ...] = ()
    next: Text
    """The command to type next, where it is established."""

    @model_validator(mode="after")
    def _commands_can_be_filled_in(self) -> Self:
        texts = [self.next]
        for remedy in self.remedies:
            texts += [*remedy.given.values(), remedy.caution or ""]
        for text in texts:
            fill_in(text, {})
        return self


def fill_in(command: str, known: Mapping[str, str]) -> str:
    """Return a command with what is known in its places; what is not stands there in capitals.

    :raises ValueError: It has a place that nobody fills in.
    """
    unknown = {"target": "", "cgroup": "/CGROUP"}
    values = {place: known.get(place, unknown.get(place, place.upper())) for place in PLACES}
    try:
        # What is filled in keeps its blanks.
        words = (Template(word).substitute(values) for word in command.split())
        return " ".join(word for word in words if word)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{command!r}: what is filled in is ${', $'.join(PLACES)}") from error
