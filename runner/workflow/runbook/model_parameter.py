"""What people give to a runbook: values of the types that recipes have, and texts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import AfterValidator, StringConstraints, WithJsonSchema, model_validator

from runner.recipe.model_given import GivenValue
from runner.recipe.parameters import (
    PARAMETER_TYPES,
    TARGET_FILTERS,
    ParameterType,
)

RESERVED = ("list", "help", "yes", "dry-run", "from", "work", "junit", "format", "bpftrace", "recipes")
"""The options of the command itself."""


@dataclass(frozen=True, slots=True)
class PlainText:
    """A text as it was given."""

    text: str

    def json(self) -> str:
        """Return the text."""
        return self.text


def _parse_text(text: str) -> PlainText:
    if "\0" in text:
        raise ValueError("a text has no NUL")
    return PlainText(text)


TYPES: Mapping[str, ParameterType] = {
    **PARAMETER_TYPES,
    **TARGET_FILTERS,
    # Of a value's forms a runbook needs the text alone: none enters a program from here.
    "text": ParameterType("TEXT", "any text", _parse_text),  # type: ignore[arg-type]
}
"""By name: the types of recipes' parameters, the target filters, and texts."""


def _known_type(name: str) -> str:
    if name not in TYPES:
        raise ValueError(f"no such parameter type; there are {', '.join(sorted(TYPES))}")
    return name


def _free(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"--{name} is an option of the command itself")
    return name


class RunbookParameter(GivenValue):
    """A value that whoever runs the runbook may give."""

    name: Annotated[
        str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=30), AfterValidator(_free)
    ]
    type: Annotated[
        str, AfterValidator(_known_type), WithJsonSchema({"type": "string", "enum": sorted(TYPES)})
    ] = "text"
    environment: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The variable that it is taken from where it is not given."""
    secret: bool = False
    """It is shown nowhere, and stands in answers and environments alone."""

    @model_validator(mode="after")
    def _secrets_are_one_text(self) -> Self:
        if self.secret and self.default is not None:
            raise ValueError("a secret has no default: everybody can read it here")
        if self.secret and (self.type != "text" or self.repeatable):
            raise ValueError("a secret is one text")
        return self

    @property
    def kind(self) -> ParameterType:
        """Return how the parameter is written and parsed."""
        return super().kind if self.type in PARAMETER_TYPES else TYPES[self.type]

    @property
    def word(self) -> str:
        """Return how templates name it: `to_fd` for `--to-fd`."""
        return self.name.replace("-", "_")
