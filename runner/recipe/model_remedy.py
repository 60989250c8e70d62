"""A remedy: a change that is known to help against a cause, with its way back; one YAML file each."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from runner.recipe.model import Title
from runner.recipe.model_base import Id, Strict, Text
from runner.recipe.model_setting import CommandSpec, Requirement, SettingSpec, texts_of
from runner.recipe.remedy_values import places_in, refusal_of, variable_of
from runner.recipe.vocabulary import Layer

OWN_VARIABLES = ("BEFORE", "WORK", "SOURCE")
"""Beside its parameters: the state before, a directory of the experiment's own, that of the remedy's file."""

SHELL_VARIABLES = ("PATH", "IFS", "HOME", "PWD", "ENV", "LANG", "TMPDIR", "OPTIND", "PS4")
"""What a shell and its commands go by: a parameter of that name would change how they run."""


class RemedyParameter(Strict):
    """A value that a remedy takes."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=30)]
    type: Literal["integer", "port", "pid", "device", "interface", "cpus", "word", "path"]
    description: Text
    default: Text | None = None
    minimum: int | None = None
    """Of an integer; and `maximum`, both inclusive."""
    maximum: int | None = None
    required: bool = False

    @model_validator(mode="after")
    def _default_fits(self) -> Self:
        if self.type != "integer" and (self.minimum is not None or self.maximum is not None):
            raise ValueError("only an integer has a minimum and a maximum")
        if self.required and self.default is not None:
            raise ValueError("what has a default is not required")
        variable = variable_of(self.name)
        if variable in (*OWN_VARIABLES, *SHELL_VARIABLES) or variable.startswith(("LD_", "LC_")):
            raise ValueError(f"${variable} is not a parameter's")
        if self.default is not None:
            refusal = refusal_of(self.type, self.default, self.minimum, self.maximum)
            if refusal is not None:
                raise ValueError(f"its default: {refusal}")
        return self


class Remedy(Strict):
    """One change, or one piece of advice."""

    schema_version: Literal[1] = Field(alias="schema")
    id: Id
    title: Title
    layer: Layer
    description: Text
    when_not: Text = Field(alias="when-not")
    """When it is not to be used, and what it costs."""
    parameters: tuple[RemedyParameter, ...] = ()
    requires: tuple[Requirement, ...] = ()
    settings: tuple[SettingSpec, ...] = ()
    """Changed in this order, put back in the reverse."""
    measure: Annotated[tuple[Id, ...], Field(min_length=1)]
    """Recipes whose outcome shows whether it helps, the most telling first."""
    advice: Text | None = None
    """In place of settings: what is changed in the application itself."""

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.settings) == (self.advice is not None):
            raise ValueError("it has settings, or advice")
        if self.advice is not None and (self.parameters or self.requires):
            raise ValueError("advice has no parameters and requires nothing")
        return self

    @model_validator(mode="after")
    def _places_are_known(self) -> Self:
        names = [each.name for each in self.parameters]
        if len(set(names)) != len(names):
            raise ValueError("a parameter stands twice")
        known = {*map(variable_of, names), *OWN_VARIABLES}
        texts = [
            text for each in self.settings for text in texts_of(each) if not isinstance(each, CommandSpec)
        ]
        # Variables of a shell's text may be its own.
        unknown = sorted({place for text in texts for place in places_in(text)} - known)
        if unknown:
            raise ValueError(f"there is no parameter for ${', $'.join(unknown)}")
        everything = [text for each in self.settings for text in texts_of(each)]
        everything += [each.check for each in self.requires]
        used = {place for text in everything for place in places_in(text)}
        unused = [name for name in names if variable_of(name) not in used]
        if unused:
            raise ValueError(f"nothing uses the parameter {', '.join(unused)}")
        return self
