"""`ebpf-recipe show`: what a recipe measures, its parameters, caveats and cost; what a remedy changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.recipes_option import Recipes
from runner.cli.wrapping import wrapped
from runner.recipe.catalogue import recipe_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.recipe.model import Recipe


def _complete(incomplete: str) -> list[str]:
    return [recipe_id for recipe_id in recipe_ids() if recipe_id.startswith(incomplete)]


def show_recipe(
    recipe: Annotated[str, typer.Argument(help="The id of a recipe or a remedy.", autocompletion=_complete)],
    as_json: Annotated[bool, typer.Option("--json", help="Print the recipe as JSON.")] = False,
    recipes: Recipes = None,
) -> None:
    """Show what a recipe measures, or what a remedy changes."""
    from runner.cli.output import print_text
    from runner.cli.show_remedy import remedy_lines
    from runner.recipe.catalogue import find_recipe
    from runner.recipe.remedies import find_remedy, remedy_paths

    del recipes
    if recipe not in recipe_ids() and recipe in remedy_paths():
        remedy = find_remedy(recipe).remedy
        if as_json:
            print_text(remedy.model_dump_json(indent=2, by_alias=True))
        else:
            print_text("\n".join(remedy_lines(remedy)))
        return
    found = find_recipe(recipe)
    if as_json:
        print_text(found.recipe.model_dump_json(indent=2, by_alias=True))
        return
    print_text("\n".join(_lines(found.recipe)))


def _lines(recipe: Recipe) -> Iterator[str]:
    from runner.capture.cutting import why_not_cut
    from runner.recipe.cgroups import BY
    from runner.recipe.parameters import HONOURED_AS, TARGET_FILTERS

    yield f"{recipe.id}: {recipe.title}"
    symptoms = ", ".join(recipe.symptoms) or "none"
    yield from wrapped(f"{recipe.layer}, {recipe.stage}, {recipe.status}; symptoms: {symptoms}", "  ")
    yield ""
    yield from wrapped(recipe.description, "  ")
    yield "\nTables"
    for output in recipe.outputs:
        if output.total_of is None:
            keys = ", ".join(key.name for key in output.keys) or "no keys"
            yield from wrapped(f"{output.name}: {output.kind} of {output.unit} by {keys}", "  ")
            yield from wrapped(output.description, "    ")
            for key in output.keys:
                if key.description is not None:
                    yield from wrapped(f"{key.name}: {key.description}", "    ")
            why = why_not_cut(output.declaration())
            if why is not None:
                yield from wrapped(f"has no windows (--windows, --interval): {why}", "    ")
            if output.above_of is not None:
                pair = output.above_of
                text = (
                    f"a gate on {pair.table}.above(…) sets --{pair.parameter}, and is decided by this count"
                )
                yield from wrapped(text, "    ")
            if output.threshold is not None:
                limit = output.threshold
                per = " a second" if limit.statistic == "rate" else ""
                text = f"{limit.statistic} above {limit.above:g} {output.unit}{per}: {limit.meaning}"
                yield from wrapped(f"worth a look: {text}", "    ")
    primary = recipe.primary
    better = f"{primary.better} is better"
    yield from wrapped(f"compare decides by {primary.table}.{primary.statistic}: {better}", "  ")
    yield "\nParameters"
    for parameter in recipe.parameters:
        kind = parameter.kind
        again = "; may be repeated" if parameter.repeatable else ""
        if parameter.default is not None:
            again += f"; default {parameter.default}"
        again += "; required" if parameter.required else ""
        text = f"--{parameter.name} {kind.metavar}: {parameter.description} ({kind.range}{again})"
        yield from wrapped(text, "  ")
    yield "\nTarget filters"
    for name, how in recipe.target.honours.items():
        options = [option for option, own in HONOURED_AS.items() if own == name]
        named = ", ".join(f"--{option} {TARGET_FILTERS[option].metavar}" for option in options)
        yield from wrapped(f"{named}: {how}", "  ")
    if "cgroup" in recipe.target.honours:
        yield from wrapped("--exact: of these alone, without the cgroups below them", "    ")
        yield from wrapped(f"--by {', '.join(BY)}: as a key of the tables", "    ")
    for name, why in recipe.target.refuses.items():
        options = [option for option, own in HONOURED_AS.items() if own == name]
        named = ", ".join(f"--{option}" for option in options)
        yield from wrapped(f"{named} {'is' if len(options) == 1 else 'are'} refused: {why}", "  ")
    yield "\nVariants, the first that the host can run"
    for variant in recipe.variants:
        needs = ", ".join(str(guard) for guard in variant.when) or "nothing special"
        yield from wrapped(f"{variant.id} (needs {needs}): {variant.description}", "  ")
    if recipe.supports or recipe.refutes:
        yield "\nWhat its numbers say of causes (investigate), $slo and $tail being the objective's"
    for each in recipe.supports:
        word = "establishes" if each.establishes else "suggests"
        text = f"{word} {each.hypothesis} where {' and '.join(each.when)}: {each.reason}"
        yield from wrapped(text, "  ")
    for other in recipe.refutes:
        text = f"refutes {other.hypothesis} where {' and '.join(other.when)}: {other.reason}"
        yield from wrapped(text, "  ")
    yield "\nCaveats"
    for caveat in recipe.caveats:
        yield from wrapped(f"- {caveat}", "  ")
    yield "\nCost"
    yield from _costs(recipe)
    yield "\nReferences"
    for reference in recipe.references:
        yield f"  {reference}"


def _costs(recipe: Recipe) -> Iterator[str]:
    from runner.capture.percent import in_percent
    from runner.recipe.cost import newest_first

    yield from wrapped(f"{recipe.overhead.level}: {recipe.overhead.reason}", "  ")
    for each in newest_first(recipe.overhead.measured):
        text = f"bpftrace {each.bpftrace} on kernel {each.kernel}: {each.ns:,} ns per {each.event}"
        if each.slowdown is not None:
            longer = in_percent(each.slowdown) if each.slowdown > 0 else "no"
            text += f"; a load of such events alone took {longer} longer"
        yield from wrapped(text, "  ")
    if not recipe.overhead.measured:
        yield from wrapped("not measured", "  ")
