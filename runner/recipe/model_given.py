"""What people give to a recipe: its parameters, and the target filters that it honours."""

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from runner.recipe.model_base import Strict, Text
from runner.recipe.parameters import (
    CALLED_FUNCTION,
    HONOURED_AS,
    INTEGER_BOUNDS,
    PARAMETER_TYPES,
    ParameterType,
    integer_type,
)

_FILTERS = tuple(dict.fromkeys(HONOURED_AS.values()))


def _known_parameter_type(name: str) -> str:
    if name not in PARAMETER_TYPES:
        raise ValueError(f"no such parameter type; there are {', '.join(sorted(PARAMETER_TYPES))}")
    return name


def _known_filter(name: str) -> str:
    if name not in _FILTERS:
        raise ValueError(f"no such target filter; there are {', '.join(_FILTERS)}")
    return name


def _one_of(names: Iterable[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": sorted(names)})


Filter = Annotated[str, AfterValidator(_known_filter), _one_of(_FILTERS)]


class GivenValue(Strict):
    """A value with a type, and a default or bounds: what parameters of recipes and runbooks share."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=30)]
    type: str
    description: Text
    repeatable: bool = False
    default: Text | None = None
    """What it is where it is not given, in the words of the command line."""
    minimum: int | None = None
    """Of an integer; and `maximum`, both inclusive."""
    maximum: int | None = None
    required: bool = False
    """Without it there is nothing to run."""

    @model_validator(mode="after")
    def _bounds_and_default_fit(self) -> Self:
        if self.required and self.default is not None:
            raise ValueError("what has a default is not required")
        if self.type != "integer" and (self.minimum is not None or self.maximum is not None):
            raise ValueError("only an integer has a minimum and a maximum")
        lowest, highest = INTEGER_BOUNDS
        least = lowest if self.minimum is None else self.minimum
        most = highest if self.maximum is None else self.maximum
        if not lowest <= least <= most <= highest:
            raise ValueError(f"minimum and maximum are in this order and from {lowest} to {highest}")
        if self.default is not None:
            try:
                self.kind.parse(self.default)
            except ValueError as error:
                raise ValueError(f"its default {self.default!r}: {error}") from error
        return self

    @property
    def kind(self) -> ParameterType:
        """Return how the value is written and parsed."""
        return (
            integer_type(self.minimum, self.maximum) if self.type == "integer" else PARAMETER_TYPES[self.type]
        )


class Parameter(GivenValue):
    """A value that the person who runs the recipe may give."""

    type: Annotated[str, AfterValidator(_known_parameter_type), _one_of(PARAMETER_TYPES)]
    returns: bool = False
    """Of a function: where it returns is probed too, so that it is no tracepoint."""

    @model_validator(mode="after")
    def _only_functions_return(self) -> Self:
        if self.returns and self.type != "function":
            raise ValueError("only a function returns")
        return self

    @property
    def kind(self) -> ParameterType:
        """Return how the parameter is written and parsed."""
        return CALLED_FUNCTION if self.returns else super().kind


class Target(Strict):
    """Which target filters the recipe honours, and how; why it cannot honour the others."""

    honours: Annotated[dict[Filter, Text], Field(default_factory=dict)]
    refuses: Annotated[dict[Filter, Text], Field(default_factory=dict)]

    @model_validator(mode="after")
    def _every_filter_once(self) -> Self:
        both = self.honours.keys() & self.refuses.keys()
        if both:
            raise ValueError(f"both honoured and refused: {', '.join(sorted(both))}")
        missing = set(_FILTERS) - self.honours.keys() - self.refuses.keys()
        if missing:
            raise ValueError(f"neither honoured nor refused: {', '.join(sorted(missing))}")
        return self

    def honoured(self) -> dict[str, str]:
        """Return every filter of the command line that is honoured, and how."""
        return {option: self.honours[own] for option, own in HONOURED_AS.items() if own in self.honours}

    def refused(self) -> dict[str, str]:
        """Return every filter of the command line that is refused, and why."""
        return {option: self.refuses[own] for option, own in HONOURED_AS.items() if own in self.refuses}
