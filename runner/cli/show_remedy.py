"""A remedy as `ebpf-recipe show` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.cli.wrapping import wrapped
from runner.recipe.by_hand import commands_by_hand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.recipe.model_remedy import Remedy


def remedy_lines(remedy: Remedy) -> Iterator[str]:
    """Return what it changes, when not, its parameters and how to try it."""
    yield f"{remedy.id}: {remedy.title}"
    yield f"  {remedy.layer}, {'advice' if remedy.advice is not None else 'a change'}"
    yield ""
    yield from wrapped(remedy.description, "  ")
    yield "\nWhen not"
    yield from wrapped(remedy.when_not, "  ")
    if remedy.advice is not None:
        yield "\nAdvice"
        yield from wrapped(remedy.advice, "  ")
    if remedy.parameters:
        yield "\nParameters"
        for each in remedy.parameters:
            default = f"default {each.default}" if each.default is not None else "may be left out"
            more = "required" if each.required else default
            yield from wrapped(f"{each.name}: {each.description} ({each.type}; {more})", "  ")
    change, revert = commands_by_hand(remedy, {})
    if change:
        yield "\nBy hand"
        yield from (f"  {command}" for command in change)
        yield "  the way back:"
        yield from (f"  {command}" for command in revert)
    if remedy.requires:
        yield "\nRefused where"
        for requirement in remedy.requires:
            yield from wrapped(requirement.reason, "  ")
    yield "\nMeasure with"
    yield from wrapped(", ".join(remedy.measure), "  ")
    if remedy.settings:
        needed = "".join(f" --with {each.name}=…" for each in remedy.parameters if each.required)
        yield "\nTry it"
        yield f"  ebpf-recipe experiment --remedy {remedy.id}{needed} --measure {remedy.measure[0]} -- LOAD"
