"""What the types of a plan cannot say: names that are names, conditions that are some, texts to be filled in.

A plan that was edited or damaged is refused as a whole, before a capture is read or anything is run.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import orjson

from runner.capture.condition import Limit, parse_condition
from runner.errors import NotParsed
from runner.recipe.model_hypothesis import fill_in
from runner.recipe.parameters import TARGET_FILTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.workflow.documents import Plan, PlannedStep

_RECIPE = re.compile(r"[a-z][a-z0-9-]{0,39}")


def mistake_in(plan: Plan) -> str | None:
    """Return what in a plan of the right types cannot be, and where; None where all of it can."""
    return next(_mistakes(plan), None)


def _mistakes(plan: Plan) -> Iterator[str]:
    for name, values in plan["target"].items():
        if name not in TARGET_FILTERS or not values:
            yield f"target: {name!r} is no filter, or has no value"
    if plan["depth"] < 0:
        yield f"depth: {plan['depth']} is below zero"
    if not _is_length(plan["seconds"]):
        yield f"seconds: no window lasts {plan['seconds']:g} s"
    names: set[str] = set()
    for stage in ("scan", "details"):
        for place, step in enumerate(plan["scan"] if stage == "scan" else plan["details"]):
            for text in _of_step(step):
                yield f"{stage}.{place}: {text}"
            if step["name"] in names:
                yield f"{stage}.{place}: two steps are called {step['name']}"
            names.add(step["name"])
    for place, hypothesis in enumerate(plan["hypotheses"]):
        texts = [hypothesis["next"]]
        for remedy in hypothesis["remedies"]:
            texts += [*remedy["commands"], *remedy["revert"], remedy["caution"] or ""]
            texts += remedy.get("given", {}).values()
        for text in texts:
            try:
                fill_in(text, {})
            except ValueError as error:
                yield f"hypotheses.{place}: {error}"
    try:
        orjson.dumps(plan)
    except TypeError as error:
        yield f"it cannot be written again: {error}"


def _of_step(step: PlannedStep) -> Iterator[str]:
    """Return what is wrong with a step; its name becomes those of files."""
    if not _RECIPE.fullmatch(step["recipe"]) or step["name"] != f"{step['stage']}-{step['recipe']}":
        yield f"{step['name']!r} is no name of a step of {step['recipe']!r}"
    if not _is_length(step["seconds"]):
        yield f"seconds: no window lasts {step['seconds']:g} s"
    if any("\0" in word for word in (*step["arguments"], step["budget"])):
        yield "arguments: no word of a command has a NUL in it"
    for number, rule in enumerate(step["rules"]):
        if not rule["when"]:
            yield f"rules.{number}: it has no condition"
        for text in rule["when"]:
            try:
                is_limit = isinstance(parse_condition(text, what="condition"), Limit)
            except NotParsed as error:
                yield f"rules.{number}: {error.message}"
            else:
                if not is_limit:
                    yield f"rules.{number}: {text!r} needs two sets of captures"


def _is_length(seconds: float) -> bool:
    return math.isfinite(seconds) and 0 < seconds <= 7 * 86_400
