"""Rules about hypotheses and remedies: what they name is there, and takes what it is given."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runner.capture.signs import RULES as SIGNS
from runner.recipe.hypotheses import near_ids, read_hypothesis
from runner.recipe.model_hypothesis import Hypothesis
from runner.recipe.model_remedy import Remedy
from runner.recipe.remedies import read_remedy
from runner.recipe.remedy_values import refusal_of
from runner.recipe.yaml_file import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runner.recipe.finding import Finding
    from runner.recipe.yaml_file import YamlFile


def of_hypothesis(
    path: Path,
    recipes: Mapping[str, object],
    known: Mapping[str, list[Path]],
    remedies: Mapping[str, list[Path]],
) -> Iterator[Finding]:
    """Return everything that is wrong with a hypothesis.

    :param known: The files of all hypotheses, by id; `remedies` likewise.
    """
    found = read_hypothesis(path)
    if not isinstance(found, Hypothesis):
        yield from found
        return
    file = read_yaml(path)
    yield from _others(file, path, known, "hypothesis")
    for place, sign in enumerate(found.signs):
        if sign.sign not in SIGNS:
            text = f"there is no sign {sign.sign!r}{near_ids(sign.sign, SIGNS)}"
            yield file.finding("sign-unknown", ("signs", place, "sign"), text)
    for place, name in enumerate(found.shows_as):
        if name not in known:
            text = f"there is no hypothesis {name!r}{near_ids(name, known)}"
            yield file.finding("hypothesis-unknown", ("shows_as", place), text)
    yield from _recipes(file, "details", found.details, recipes)
    for place, proposed in enumerate(found.remedies):
        at = ("remedies", place)
        if proposed.remedy is None:
            continue
        if proposed.remedy not in remedies:
            text = f"there is no remedy {proposed.remedy!r}{near_ids(proposed.remedy, remedies)}"
            yield file.finding("remedy-unknown", (*at, "remedy"), text)
            continue
        remedy = read_remedy(remedies[proposed.remedy][0])
        if isinstance(remedy, Remedy):
            for parameter, why in _mistakes(remedy, proposed.given):
                yield file.finding("remedy-value", (*at, "with", parameter) if parameter else at, why)


def of_remedy(
    path: Path, recipes: Mapping[str, object], known: Mapping[str, list[Path]]
) -> Iterator[Finding]:
    """Return everything that is wrong with a remedy.

    :param known: The files of all remedies, by id.
    """
    found = read_remedy(path)
    if not isinstance(found, Remedy):
        yield from found
        return
    file = read_yaml(path)
    yield from _others(file, path, known, "remedy")
    yield from _recipes(file, "measure", found.measure, recipes)


def _others(file: YamlFile, path: Path, known: Mapping[str, list[Path]], what: str) -> Iterator[Finding]:
    for other in known.get(path.stem, ()):
        if os.path.realpath(other) != os.path.realpath(path):
            yield file.finding("id-duplicate", ("id",), f"there is another {what} {path.stem}: {other}")


def _recipes(
    file: YamlFile, field: str, names: tuple[str, ...], recipes: Mapping[str, object]
) -> Iterator[Finding]:
    for place, name in enumerate(names):
        if name not in recipes:
            text = f"there is no recipe {name!r}{near_ids(name, recipes)}"
            yield file.finding("related-unknown", (field, place), text)


def _mistakes(remedy: Remedy, given: Mapping[str, str]) -> Iterator[tuple[str | None, str]]:
    """Return what is wrong with values, each with the parameter's name where it stands."""
    parameters = {each.name: each for each in remedy.parameters}
    for name, value in given.items():
        if name not in parameters:
            yield name, f"{remedy.id} has no parameter {name!r}{near_ids(name, parameters)}"
        # What the investigation or its reader fills in is checked when it is known.
        elif not value.startswith("$") and value != name.upper():
            parameter = parameters[name]
            refusal = refusal_of(parameter.type, value, parameter.minimum, parameter.maximum)
            if refusal is not None:
                yield name, refusal
    for name, parameter in parameters.items():
        if parameter.required and name not in given:
            yield None, f"{remedy.id} needs a value for {name}"
