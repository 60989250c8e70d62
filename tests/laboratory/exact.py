"""The recipe of the tests of exactness, and plans of it or of bare programs."""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from runner.bpftrace.version import find_bpftrace
from runner.plan import Plan, plan_run
from runner.recipe.load import LoadedRecipe, load_recipe
from runner.recipe.model import PrimaryOutcome
from runner.recipe.model_output import Output
from runner.recipe.parameters import PARAMETER_TYPES, parse_values
from runner.recipe.render import Program

_CATALOGUE = Path(__file__).parents[1] / "catalogue"
DESCRIPTOR = "77"
"""The descriptor that the recipe looks at: nobody else seeks on it."""


def exact_recipe() -> LoadedRecipe:
    """Return the recipe with a table of every kind, over the offsets of lseek."""
    return load_recipe(_CATALOGUE / "recipes/app/exact.yaml", _CATALOGUE / "templates/app/exact.bt.j2")


def exact_plan(bpftrace: str, tables: Sequence[str] | None = None) -> Plan:
    """Return a plan of the recipe, on this bpftrace.

    :param tables: Record into these alone: each has its price.
    """
    loaded = exact_recipe()
    values = {"fd": parse_values("fd", PARAMETER_TYPES["port"], [DESCRIPTOR])}
    plan = plan_run(loaded, values, find_bpftrace(bpftrace))
    return plan if tables is None else _only(plan, tables)


def _only(plan: Plan, tables: Sequence[str]) -> Plan:
    """Leave the statements of other tables out of the program, and their outputs out of the recipe."""
    recipe = plan.loaded.recipe
    gone = {output.map for output in recipe.outputs if output.name not in tables}
    lines = plan.program.text.splitlines(keepends=True)
    kept = [
        line
        for line in lines
        if not line.strip().startswith(tuple(f"{name}{end}" for name in gone for end in "[ "))
    ]
    return bare_plan(
        plan, "".join(kept), outputs=tuple(each for each in recipe.outputs if each.name in tables)
    )


def bare_plan(plan: Plan, program: str, outputs: Sequence[Output] = (), **changes: object) -> Plan:
    """Return a plan that runs another program, with the outputs given or a count `n` in @n."""
    recipe = plan.loaded.recipe
    counted = Output(name="n", map="@n", kind="count", unit="events", description="Counted.")
    tables = tuple(outputs) or (counted,)
    update: Mapping[str, object] = {
        "outputs": tables,
        "scratch_maps": (),
        "primary": PrimaryOutcome(table=tables[0].name, statistic="rate", better="lower"),
        "progress": None,
        **changes,
    }
    loaded = copy.copy(plan.loaded)
    loaded.recipe = recipe.model_copy(update=update)
    return dataclasses.replace(
        plan, loaded=loaded, program=Program(program, plan.program.variant, "a test", ())
    )
