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


class Remedy(Strict):
    """A change to try, one at a time, with the way back."""

    title: Text
    commands: tuple[Text, ...] = ()
    """Empty where it is advice: something of the application itself."""
    revert: tuple[Text, ...] = ()
    caution: Text | None = None
    """When it is not to be done, or what it costs."""

    @model_validator(mode="after")
    def _has_a_way_back(self) -> Self:
        if self.commands and not self.revert:
            raise ValueError("what is changed by commands has commands that put it back (revert)")
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
    remedies: tuple[Remedy, ...] = ()
    next: Text
    """The command to type next, where it is established."""

    @model_validator(mode="after")
    def _commands_can_be_filled_in(self) -> Self:
        texts = [self.next]
        for remedy in self.remedies:
            texts += [*remedy.commands, *remedy.revert, remedy.caution or ""]
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
