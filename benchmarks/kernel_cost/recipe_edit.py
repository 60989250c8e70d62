"""Measured figures in a recipe's file: the lines of `overhead.measured` are written anew, and no other."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from benchmarks.kernel_cost.stored import Measured

_BLOCK = re.compile(r"^overhead:[ \t]*\n(?:(?:[ \t].*)?\n)*", re.MULTILINE)
"""From its key to the next one at the left edge."""
_MEASURED = re.compile(r"^  measured:.*\n(?:   .*\n)*", re.MULTILINE)


class Misread(Exception):
    """A recipe's file is laid out in a way that we would damage."""


def with_figures(text: str, measured: Measured) -> str:
    """Return a recipe's text with what was measured of it.

    Figures of other kernels stay, where they are of the same event.

    :raises Misread: The file has no `overhead:` in block style, or more than the figures would change.
    """
    found = _BLOCK.search(text)
    if found is None:
        raise Misread(f"{measured.recipe}: no `overhead:` with its members in lines of their own")
    before = yaml.safe_load(text)
    items = [each for each in before["overhead"].get("measured", ()) if _stays(each, measured)]
    items += _items(measured)
    block = _MEASURED.sub("", found.group())
    body = block.rstrip("\n")
    if items:
        lines = "".join(f"    - {_line(each)}\n" for each in items)
        block = f"{body}\n  measured:\n{lines}{block[len(body) + 1 :]}"
    edited = text[: found.start()] + block + text[found.end() :]
    if _without(yaml.safe_load(edited)) != _without(before):
        raise Misread(f"{measured.recipe}: more than the figures would change")
    return edited


def _stays(item: dict[str, Any], measured: Measured) -> bool:
    return bool(item["kernel"] != measured.kernel and item["event"] == measured.event)


def _items(measured: Measured) -> list[dict[str, Any]]:
    return [
        {
            "bpftrace": each.release,
            "kernel": measured.kernel,
            "event": measured.event,
            "ns": max(1, round(each.ns)),
            "slowdown": round(each.slowdown or 0.0, 2),
        }
        for each in measured.figures
        if each.kind == "recipe" and each.ns is not None and not each.is_filtered
    ]


def _line(item: dict[str, Any]) -> str:
    # A kernel's release would be read as a number.
    shown = {**item, "kernel": f'"{item["kernel"]}"'}
    return "{" + ", ".join(f"{name}: {value}" for name, value in shown.items()) + "}"


def _without(recipe: dict[str, Any]) -> dict[str, Any]:
    overhead = {name: value for name, value in recipe["overhead"].items() if name != "measured"}
    return {**recipe, "overhead": overhead}
