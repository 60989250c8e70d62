"""Gates set thresholds of recipes: what `latency.above(10ms)` asks for is counted while the run lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.capture.condition import ABOVE, place_of
from runner.capture.condition_check import check_condition, declared_shape
from runner.errors import ValueRefused
from runner.recipe.parameters import Duration, parse_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.capture.condition import Limit
    from runner.recipe.model import Recipe
    from runner.recipe.parameters import Value


def check_gates(recipe: Recipe, gates: Sequence[Limit]) -> None:
    """Refuse gates on what a run of the recipe will not have.

    :raises ValueRefused: Naming the gate, the place in it, and what there is.
    """
    shapes = [declared_shape(output.declaration()) for output in recipe.outputs]
    for gate in gates:
        check_condition(gate, shapes)


def with_thresholds(
    recipe: Recipe, gates: Sequence[Limit], texts: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return what was given for a recipe's options, with the thresholds that its gates ask for.

    :param gates: Checked before.
    :param texts: What was given, by the names of parameters and target filters.
    :raises ValueRefused: The command line or another gate says something else.
    """
    made = dict(texts)
    by_table = {o.above_of.table: o.above_of.parameter for o in recipe.outputs if o.above_of is not None}
    kinds = {parameter.name: parameter.kind for parameter in recipe.parameters}
    set_by: dict[str, Limit] = {}
    for gate in gates:
        threshold = gate.subject.threshold
        name = by_table.get(gate.subject.table)
        if gate.subject.statistic != ABOVE or threshold is None or name is None:
            continue
        asked = parse_values(name, kinds[name], [str(threshold)])
        if not made.get(name):
            made[name] = (str(threshold),)
            set_by[name] = gate
            continue
        if _nanoseconds(parse_values(name, kinds[name], made[name])) != _nanoseconds(asked):
            other = f"the gate '{set_by[name]}'" if name in set_by else f"--{name} {made[name][0]}"
            raise ValueRefused(
                f"{place_of(gate, threshold.column, 'gate')}: {threshold} and {other} do not go together: "
                f"a run counts {gate.subject.table} above one threshold",
                hint="run it once for each, or let both say the same",
            )
    return made


def _nanoseconds(values: Sequence[Value]) -> list[int]:
    return [value.number for value in values if isinstance(value, Duration)]
