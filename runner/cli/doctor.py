"""`ebpf-recipe doctor`: what this host can run, and the command that mends what it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.doctor_matrix import Format, print_matrix
from runner.cli.options import BpftracePath
from runner.recipe.catalogue import recipe_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.doctor.document import Check, Doctor, Lack


def _complete(incomplete: str) -> list[str]:
    return [recipe_id for recipe_id in recipe_ids() if recipe_id.startswith(incomplete)]


def examine_host(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RECIPE] | --matrix FACTS.json...",
            help="Only this recipe [default: all of them]; with --matrix, files or directories of them.",
            autocompletion=_complete,
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the document as JSON.")] = False,
    matrix: Annotated[
        bool,
        typer.Option(
            "--matrix",
            help="Which recipes run on which hosts, by what doctor --json or render --facts printed there.",
        ),
    ] = False,
    form: Annotated[
        Format | None,
        typer.Option("-f", "--format", help="Of --matrix. [default: table]", show_default=False),
    ] = None,
    bpftrace: BpftracePath = None,
) -> None:
    """Say what this host can run and what mends the rest; with --matrix, what hosts of a fleet can run."""
    given = words or []
    if matrix:
        if not given:
            raise typer.BadParameter("--matrix takes files, or directories of them")
        if bpftrace is not None:
            raise typer.BadParameter("--bpftrace is of this host, and --matrix of others")
        if as_json and form not in (None, Format.JSON):
            raise typer.BadParameter(f"--json and -f {form} do not go together")
        print_matrix(given, Format.JSON if as_json else form or Format.TABLE)
        return
    if form is not None:
        raise typer.BadParameter("-f goes with --matrix; --json prints this host's document")
    if len(given) > 1:
        raise typer.BadParameter(f"one recipe, or all of them; {given[1]} is one too many")
    _examine(given[0] if given else None, as_json=as_json, bpftrace=bpftrace)


def _examine(recipe: str | None, *, as_json: bool, bpftrace: str | None) -> None:
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
