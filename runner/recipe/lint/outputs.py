"""Rules about what a recipe declares of its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.recipe.finding import Finding
    from runner.recipe.lint.subject import Subject

NO_COUNTS = ("ns", "us", "ms", "seconds", "bytes", "ratio", "none")
"""Units of what is measured, not counted."""

_COUNTING = ("count", "sum", "stats", "histogram", "time-series")


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
    if primary.statistic.startswith("p") and output.kind != "histogram":
        text = f"{primary.statistic} is had of a histogram, {output.name} is a {output.kind}"
        yield subject.finding("primary-statistic", location, text)
    elif primary.statistic in ("rate", "total") and output.kind not in _COUNTING:
        text = f"a {output.kind} has no {primary.statistic}: use {' or '.join(_COUNTING)}"
        yield subject.finding("primary-statistic", location, text)


def primary_direction(subject: Subject) -> Iterator[Finding]:
    """The number that decides is better where its table says so."""
    primary = subject.recipe.primary
    output = next(each for each in subject.recipe.outputs if each.name == primary.table)
    if output.direction not in ("neutral", primary.better):
        text = f"{primary.better} is better, and of the output {output.name} it is {output.direction}"
        yield subject.finding("primary-direction", ("primary", "better"), text)


OUTPUT_RULES = (unit_kind, unit_none, primary_statistic, primary_direction)
