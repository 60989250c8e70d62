"""What a run step asks of its recipe, and what gates and measures ask of its tables."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from runner.capture.condition import Amount, Limit, NotWorse, parse_condition, parse_subject, place_of
from runner.capture.condition_check import check_condition, declared_shape
from runner.errors import EbpfRecipeError, ValueRefused
from runner.recipe.catalogue import find_recipe
from runner.recipe.given import parse_given
from runner.recipe.parameters import TARGET_FILTERS
from runner.recipe.shares import parse_share
from runner.recipe.thresholds import check_gates, with_thresholds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.capture.condition import Subject
    from runner.recipe.model import Recipe
    from runner.workflow.runbook.model import GateStep, RunStep
    from runner.workflow.runbook.sample import Sample

Place = tuple[str | int, ...]
Problem = tuple[str, Place, str]
"""Rule, place and text."""


def recipe_problems(
    step: RunStep, place: Place, gates: Sequence[tuple[GateStep, Place]], sample: Sample
) -> Iterator[Problem]:
    """Return what is wrong with a run step and the gates on it, as far as it stands in the file.

    :param gates: Those that are on this step, each with its place.
    :param sample: What gates and measures with values of parameters are read with.
    """
    try:
        recipe = find_recipe(step.run).recipe
    except EbpfRecipeError as error:
        yield "runbook-recipe", (*place, "run"), said(error)
        return
    texts: dict[str, tuple[str, ...]] = {}
    for name, given in step.given.items():
        values = (given,) if isinstance(given, str) else tuple(given)
        is_literal = not any(has_values(each) for each in values)
        if (why := _why_refused(recipe, name, values, is_literal=is_literal)) is not None:
            yield "runbook-recipe", (*place, "with", name), why
        elif is_literal:
            texts[name] = values
    for parameter in recipe.parameters:
        if parameter.required and parameter.name not in step.given:
            text = f"{recipe.id} needs {parameter.name}: {parameter.description}"
            yield "runbook-recipe", (*place, "run"), text
    if step.budget is not None and not has_values(step.budget):
        try:
            parse_share("budget", step.budget)
        except ValueRefused as error:
            yield "runbook-value", (*place, "budget"), said(error)
    limits = []
    for name, text in step.measure.items():
        filled = sample.filled(text)
        if filled is not None:
            try:
                limit = limit_of(measured_subject(recipe, filled))
            except EbpfRecipeError as error:
                yield "runbook-gate", (*place, "measure", name), said(error)
            else:
                limits += [] if has_values(text) else [limit]
    for gate, at in gates:
        for number, text in enumerate(gate.conditions):
            filled = sample.filled(text)
            if filled is not None:
                try:
                    limit = parse_gate(recipe, filled)
                except EbpfRecipeError as error:
                    yield "runbook-gate", (*at, "gate", number), said(error)
                else:
                    # Other values of parameters may go together where these do not.
                    limits += [] if has_values(text) else [limit]
    try:
        with_thresholds(recipe, limits, texts)
    except ValueRefused as error:
        yield "runbook-gate", (*place, "run"), said(error)


def parse_gate(recipe: Recipe, text: str) -> Limit:
    """Parse a gate on a capture of a recipe.

    :raises NotParsed, ValueRefused: It is none, or asks for what the recipe does not have.
    """
    gate = parse_condition(text)
    if not isinstance(gate, Limit):
        raise ValueRefused(
            f"{place_of(gate, gate.column, 'gate')}: `not worse by` compares two sets of captures, "
            "and here is one",
            hint="ebpf-recipe compare in a shell step",
        )
    check_gates(recipe, [gate])
    return gate


def measured_subject(recipe: Recipe, text: str) -> Subject:
    """Parse a statistic of one of a recipe's tables.

    :raises NotParsed, ValueRefused: It is none, or the recipe does not have it.
    """
    subject = parse_subject(text, what="measure")
    shapes = [declared_shape(output.declaration()) for output in recipe.outputs]
    check_condition(NotWorse(subject, Fraction(0), text=text), shapes, what="measure")
    return subject


def limit_of(subject: Subject) -> Limit:
    """Return a statistic as a gate that asks for its threshold, and decides nothing."""
    return Limit(subject, ">=", Amount(Fraction(0), "%"), str(subject))


def thresholds_for(
    recipe: Recipe, limits: Sequence[Limit], texts: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Return what is given to a recipe, with the thresholds that gates and measures ask for.

    :raises ValueRefused: Two of them contradict each other, or a value is wrong.
    """
    made = with_thresholds(recipe, limits, texts)
    parse_given(recipe, made)
    return made


def has_values(text: str) -> bool:
    """Whether a text is to be filled in."""
    return "{{" in text


def said(error: EbpfRecipeError) -> str:
    """Return what an error says, and its hint, in one line."""
    return f"{error.message} ({error.hint})" if error.hint else error.message


def _why_refused(recipe: Recipe, name: str, values: tuple[str, ...], *, is_literal: bool) -> str | None:
    known = {each.name for each in recipe.parameters} | TARGET_FILTERS.keys()
    if name not in known:
        honoured = sorted({each.name for each in recipe.parameters} | recipe.target.honoured().keys())
        return f"{recipe.id} has no {name}; it takes {', '.join(honoured) or 'nothing'}"
    refused = recipe.target.refused().get(name)
    if refused is not None:
        return f"{recipe.id} cannot honour {name}: {refused}"
    if not is_literal:
        return None
    try:
        parse_given(recipe, {name: values}, is_whole=False)
    except ValueRefused as error:
        return said(error)
    return None
