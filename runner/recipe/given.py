"""What was given for a recipe's parameters and target filters, parsed."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from runner.errors import ValueRefused
from runner.recipe.examples import EXAMPLES
from runner.recipe.parameters import TARGET_FILTERS, parse_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.recipe.model import Recipe
    from runner.recipe.parameters import Value


def parse_given(
    recipe: Recipe, texts: Mapping[str, tuple[str, ...]], *, is_whole: bool = True
) -> dict[str, tuple[Value, ...]]:
    """Parse every value, fill in defaults; refuse a filter that the recipe cannot honour truthfully.

    :param texts: What was given, by the names of parameters and target filters.
    :param is_whole: All that is required has to be there.
    :raises ValueRefused: Naming the option, the value and what it may be.
    """
    types = {p.name: p.kind for p in recipe.parameters} | dict(TARGET_FILTERS)
    single = {p.name for p in recipe.parameters if not p.repeatable}
    refused = recipe.target.refused()
    values = {}
    for name, given in texts.items():
        if name not in types:
            raise ValueRefused(f"{recipe.id} has no --{name}")
        if given and name in refused:
            raise ValueRefused(f"{recipe.id} cannot honour --{name}: {refused[name]}")
        if name in single and len(given) > 1:
            raise ValueRefused(f"--{name} takes one value, {len(given)} were given")
        # Two of the same are one.
        values[name] = tuple(dict.fromkeys(parse_values(name, types[name], given)))
    for parameter in recipe.parameters:
        if parameter.default is not None and not values.get(parameter.name):
            values[parameter.name] = parse_values(parameter.name, parameter.kind, [parameter.default])
        if is_whole and parameter.required and not values.get(parameter.name):
            raise ValueRefused(
                f"{recipe.id} needs --{parameter.name} {parameter.kind.metavar}: {parameter.description}",
                hint=f"such as --{parameter.name} {shlex.quote(EXAMPLES[parameter.type])}",
            )
    return values
