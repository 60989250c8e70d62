"""`ebpf-recipe doctor`: what this host can run, and the command that mends what it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.options import BpftracePath
from runner.recipe.catalogue import recipe_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.doctor.document import Check, Doctor, Lack


def _complete(incomplete: str) -> list[str]:
    return [recipe_id for recipe_id in recipe_ids() if recipe_id.startswith(incomplete)]


def examine_host(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="Only this recipe. [default: all of them]", autocompletion=_complete, show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the document as JSON.")] = False,
    bpftrace: BpftracePath = None,
) -> None:
    """Say what this host can run, and what mends what it cannot."""
    from runner.cli.output import print_text
    from runner.doctor.examine import examine
    from runner.errors import HostRefused
    from runner.recipe.catalogue import find_recipe

    if recipe is not None:
        find_recipe(recipe)  # one that is mistyped or has mistakes is refused as everywhere
    document = examine([recipe] if recipe is not None else recipe_ids(), bpftrace=bpftrace)
    if as_json:
        import orjson

        print_text(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        print_text("\n".join(_lines(document)))
    verdicts = document["recipes"]
    if verdicts and all(verdict["status"] != "ok" for verdict in verdicts):
        lacks = verdicts[0]["missing"]
        if recipe is None:
            message = "no recipe can run here"
        else:
            message = f"{recipe} cannot run here: {'; '.join(lack['detail'] for lack in lacks)}"
        raise HostRefused(message, hint="\n  ".join(dict.fromkeys(_help(lack) or "" for lack in lacks)))


def _lines(document: Doctor) -> Iterator[str]:
    host = document["host"]
    tracer = f"bpftrace {host['bpftrace']}" if host["bpftrace"] else "no bpftrace"
    parts = (f"Linux {host['kernel']} {host['arch']}", host["system"], tracer)
    yield " · ".join(part for part in parts if part)
    for check in document["checks"]:
        yield f"{check['status']:<8} {check['name']:<14} {check['detail']}"
        if check["status"] != "ok" and _help(check):
            yield f"{'':<8} {'':<14} → {_help(check)}"
    for recipe in document["recipes"]:
        reasons = [lack["detail"] for lack in recipe["missing"]]
        if recipe["reason"] is not None:
            reasons.append(recipe["reason"])
        yield f"{recipe['status']:<8} run {recipe['id']:<20} {'; '.join(reasons)}"
        # What a check's own line has told already is not told again.
        alone = [lack["cure"] for lack in recipe["missing"] if lack["command"] is None and lack["cure"]]
        told = {check["cure"] for check in document["checks"]}
        yield from (f"{'':<8} {'':<24} → {cure}" for cure in dict.fromkeys(alone) if cure not in told)


def _help(what: Check | Lack) -> str | None:
    """Return what to type, or, where nothing is to be typed, what to do."""
    return what["command"] or what["cure"]
