"""Rules about what a recipe declares of its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.capture.amount_units import is_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.recipe.finding import Finding
    from runner.recipe.lint.subject import Subject

NO_COUNTS = ("ns", "us", "ms", "seconds", "bytes", "ratio", "none")
"""Units of what is measured, not counted."""

_COUNTING = ("count", "sum", "stats", "histogram")


def unit_kind(subject: Subject) -> Iterator[Finding]:
    """A count is of things; a ratio cannot be added up."""
    for place, output in enumerate(subject.recipe.outputs):
        wrong = output.kind == "count" and output.unit in NO_COUNTS
        wrong = wrong or (output.kind in ("sum", "stats", "time-series") and output.unit == "ratio")
        if wrong:
            text = f"a {output.kind} has no unit {output.unit}"
            yield subject.finding("unit-kind", ("outputs", place, "unit"), text)


def unit_none(subject: Subject) -> Iterator[Finding]:
    """What is measured has a unit."""
    for place, output in enumerate(subject.recipe.outputs):
        if output.unit == "none" and output.kind != "count":
            text = f"{output.name} has no unit: somebody has to guess what its numbers are"
            yield subject.finding("unit-none", ("outputs", place, "unit"), text)


def primary_statistic(subject: Subject) -> Iterator[Finding]:
    """The number that decides can be had of its table."""
    primary = subject.recipe.primary
    output = next(each for each in subject.recipe.outputs if each.name == primary.table)
    location = ("primary", "statistic")
    pairs = [each.above_of.table for each in subject.recipe.outputs if each.above_of is not None]
    if primary.statistic in ("above", "mean-log2") and output.kind != "histogram":
        text = f"{primary.statistic} is had of a histogram, {output.name} is a {output.kind}"
    elif primary.statistic == "above" and output.name not in pairs:
        text = f"no output counts what of {output.name} is above a threshold (above_of): use mean-log2"
    elif primary.statistic == "rate" and output.kind not in _COUNTING:
        text = f"a {output.kind} has no {primary.statistic}: use {' or '.join(_COUNTING)}"
    else:
        return
    yield subject.finding("primary-statistic", location, text)


def primary_direction(subject: Subject) -> Iterator[Finding]:
    """The number that decides is better where its table says so."""
    primary = subject.recipe.primary
    output = next(each for each in subject.recipe.outputs if each.name == primary.table)
    if output.direction not in ("neutral", primary.better):
        text = f"{primary.better} is better, and of the output {output.name} it is {output.direction}"
        yield subject.finding("primary-direction", ("primary", "better"), text)


def above_pair(subject: Subject) -> Iterator[Finding]:
    """What a gate can ask for: times of a histogram, by all of its keys, from a duration on."""
    parameters = {parameter.name: parameter for parameter in subject.recipe.parameters}
    tables = {output.name: output for output in subject.recipe.outputs}
    for place, output in enumerate(subject.recipe.outputs):
        pair = output.above_of
        if pair is None:
            continue
        of, parameter = tables[pair.table], parameters[pair.parameter]
        missing = [key.name for key in of.keys if key not in output.keys]
        if of.kind != "histogram" or not is_time(of.unit):
            text = f"{of.name} is no histogram of times"
        elif parameter.type != "duration" or parameter.repeatable or parameter.default is None:
            text = f"--{parameter.name} is not one duration with a default"
        elif missing:
            text = f"{output.name} does not have all keys of {of.name}: {', '.join(missing)}"
        else:
            continue
        yield subject.finding("above-pair", ("outputs", place, "above_of"), text)


OUTPUT_RULES = (unit_kind, unit_none, primary_statistic, primary_direction, above_pair)
