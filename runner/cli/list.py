"""`ebpf-recipe list`: the recipes there are."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from runner.cli.recipes_option import Recipes
from runner.recipe.vocabulary import Layer, Symptom


def list_recipes(
    symptom: Annotated[
        str | None, typer.Option(help=f"Only recipes for this symptom. [{', '.join(get_args(Symptom))}]")
    ] = None,
    layer: Annotated[
        str | None, typer.Option(help=f"Only recipes of this layer. [{', '.join(get_args(Layer))}]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    recipes: Recipes = None,
) -> None:
    """List the recipes."""
    from runner.cli.output import print_text, say
    from runner.cli.words import check_word
    from runner.recipe.summary import summaries

    del recipes
    check_word("--symptom", symptom, get_args(Symptom))
    check_word("--layer", layer, get_args(Layer))
    chosen = [
        recipe
        for recipe in summaries()
        if (symptom is None or symptom in recipe.symptoms) and (layer is None or layer == recipe.layer)
    ]
    if as_json:
        import orjson

        print_text(orjson.dumps(chosen, option=orjson.OPT_INDENT_2).decode())
        return
    lines = [
        f"{recipe.id:<20} {recipe.layer:<6} {recipe.stage:<7} {recipe.status:<13} {recipe.title}"
        for recipe in chosen
    ]
    if lines:
        print_text("\n".join(lines))
    else:
        say("there is no recipe for that yet")
