"""`ebpf-recipe list`: the recipes there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, get_args

import typer

from runner.cli.recipes_option import Recipes
from runner.recipe.vocabulary import Layer, Symptom

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.recipe.summary import Summary

ORDERS = ("id", "cost")


def list_recipes(
    symptom: Annotated[
        str | None, typer.Option(help=f"Only recipes for this symptom. [{', '.join(get_args(Symptom))}]")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help=f"Only recipes of this layer. [{', '.join(get_args(Layer))}]")
    ] = None,
    sort: Annotated[
        str,
        typer.Option(help="By id, or the cheapest first, with what each costs. [id, cost]"),
    ] = "id",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    recipes: Recipes = None,
) -> None:
    """List the recipes."""
    from runner.cli.output import print_text, say
    from runner.cli.words import check_word
    from runner.recipe.cost import cheapest_first
    from runner.recipe.summary import summaries

    del recipes
    check_word("--symptom", symptom, get_args(Symptom))
    check_word("--layer", layer, get_args(Layer))
    check_word("--sort", sort, ORDERS)
    chosen = [
        recipe
        for recipe in summaries()
        if (symptom is None or symptom in recipe.symptoms) and (layer is None or layer == recipe.layer)
    ]
    if sort == "cost":
        chosen.sort(key=lambda recipe: cheapest_first(recipe.cost))
    if as_json:
        import orjson

        print_text(orjson.dumps(chosen, option=orjson.OPT_INDENT_2).decode())
        return
    if not chosen:
        say("there is no recipe for that yet")
    elif sort == "cost":
        print_text("\n".join(map(_with_cost, chosen)))
        say(_what_costs_are(chosen))
    else:
        print_text("\n".join(map(_line, chosen)))


def _line(recipe: Summary) -> str:
    return f"{recipe.id:<20} {recipe.layer:<6} {recipe.stage:<7} {recipe.status:<13} {recipe.title}"


def _with_cost(recipe: Summary) -> str:
    """Return a line in which costs stand below each other; the load's is left out where it is not known."""
    if recipe.cost is None:
        cost, slowdown = f"{'not measured':>12}", ""
    else:
        cost = f"{recipe.cost.ns:>9,} ns per {recipe.cost.event}"
        slowdown = "" if recipe.cost.slowdown is None else f"{recipe.cost.slowdown:+.0%}"
    return f"{recipe.id:<20} {recipe.overhead:<6} {cost:<35} {slowdown:>7} {recipe.title}"


def _what_costs_are(recipes: Iterable[Summary]) -> str:
    costs = [recipe.cost for recipe in recipes if recipe.cost is not None]
    if not costs:
        return "none of them was measured"
    hosts = sorted({f"bpftrace {cost.bpftrace} on kernel {cost.kernel}" for cost in costs})
    return (
        "what all programs of a recipe take per event, and by how much a load of such events alone took "
        f"longer: {', '.join(hosts)}"
    )
