"""All findings of all files at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import TemplateNotFound

from runner.capture.signs import RULES as SIGNS
from runner.recipe.catalogue import HYPOTHESES, Catalogue, catalogues
from runner.recipe.finding import Finding, RecipeRefused
from runner.recipe.hypotheses import near_ids, read_hypothesis
from runner.recipe.lint.evidence import evidence
from runner.recipe.lint.files import Selection, select, select_catalogues
from runner.recipe.lint.outputs import OUTPUT_RULES
from runner.recipe.lint.programs import PROGRAM_RULES
from runner.recipe.lint.subject import Programs, Subject
from runner.recipe.lint.texts import TEXT_RULES
from runner.recipe.load import OUTSIDE, LoadedRecipe, is_outside, read_recipe
from runner.recipe.model_hypothesis import Hypothesis
from runner.recipe.program_rules import broken_rules
from runner.recipe.render import Renderer, template_environment
from runner.recipe.templates import Sources
from runner.recipe.yaml_file import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Report:
    """What lint found.

    :param findings: In the order of their places.
    :param files: How many recipes, includes and hypotheses were looked at.
    """

    findings: tuple[Finding, ...]
    files: int

    @property
    def errors(self) -> int:
        """Return how many findings are errors."""
        return sum(finding.severity == "error" for finding in self.findings)


def lint(paths: Iterable[Path] = ()) -> Report:
    """Check recipes and templates.

    :param paths: Recipe files, templates, catalogues or folders in them; none for every catalogue there is.
    :raises ValueRefused: A path does not exist, or holds no recipe.
    """
    known = catalogues()
    given = list(paths)
    selection = select(given) if given else select_catalogues(known)
    selection_and_known = {each.recipes.resolve(): each for each in known} | selection.catalogues
    files_by_id = _files_by_id(selection_and_known.values())
    findings = set(selection.findings)
    known_hypotheses = _hypotheses(selection_and_known.values())
    for path, catalogue in selection.recipes.items():
        findings.update(_of_recipe(path, catalogue, files_by_id, known_hypotheses))
    for path in selection.hypotheses:
        findings.update(_of_hypothesis(path, files_by_id, known_hypotheses))
    for path in selection.includes:
        findings.update(_of_template(path))
    return Report(tuple(sorted(findings)), _count(selection))


def _count(selection: Selection) -> int:
    return len(selection.recipes) + len(selection.includes) + len(selection.hypotheses)


def _files_by_id(all_catalogues: Iterable[Catalogue]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for catalogue in all_catalogues:
        for path in catalogue.recipe_files():
            found.setdefault(path.stem, []).append(path)
    return found


def _hypotheses(all_catalogues: Iterable[Catalogue]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for each in all_catalogues:
        for path in sorted((each.recipes / HYPOTHESES).glob("*.yaml")):
            found.setdefault(path.stem, []).append(path)
    return found


def _of_hypothesis(
    path: Path, recipes: Mapping[str, object], known: Mapping[str, list[Path]]
) -> Iterator[Finding]:
    found = read_hypothesis(path)
    if not isinstance(found, Hypothesis):
        yield from found
        return
    file = read_yaml(path)
    for other in known.get(path.stem, ()):
        if os.path.realpath(other) != os.path.realpath(path):
            yield file.finding("id-duplicate", ("id",), f"there is another hypothesis {path.stem}: {other}")
    for place, sign in enumerate(found.signs):
        if sign.sign not in SIGNS:
            text = f"there is no sign {sign.sign!r}{near_ids(sign.sign, SIGNS)}"
            yield file.finding("sign-unknown", ("signs", place, "sign"), text)
    for place, name in enumerate(found.shows_as):
        if name not in known:
            text = f"there is no hypothesis {name!r}{near_ids(name, known)}"
            yield file.finding("hypothesis-unknown", ("shows_as", place), text)
    for place, name in enumerate(found.details):
        if name not in recipes:
            yield file.finding(
                "related-unknown", ("details", place), f"there is no recipe {name!r}{near_ids(name, recipes)}"
            )


def _of_recipe(
    path: Path,
    catalogue: Catalogue,
    files_by_id: Mapping[str, list[Path]],
    known_hypotheses: Mapping[str, object],
) -> Iterator[Finding]:
    if is_outside(path):
        yield Finding(str(path), 1, 1, "path-outside", OUTSIDE)
        return
    file = read_recipe(path)
    yield from file.findings
    for other in files_by_id.get(path.stem, ()):
        if os.path.realpath(other) != os.path.realpath(path):
            text = f"there is another recipe {path.stem}: {other}"
            yield file.yaml.finding("id-duplicate", ("id",), text)
    template = catalogue.template_of(path)
    if is_outside(template):
        yield Finding(str(template), 1, 1, "path-outside", OUTSIDE)
    elif not template.is_file():
        yield Finding(str(path), 1, 1, "template-missing", f"its template {template} is missing")
    elif file.recipe is None:
        yield from _of_template(template)
    if file.recipe is None:
        return
    subject = Subject(file.yaml, file.recipe, path.parent.name, files_by_id.keys())
    for rule in (*TEXT_RULES, *OUTPUT_RULES):
        yield from rule(subject)
    yield from evidence(subject, known_hypotheses)
    if template.is_file() and not is_outside(template):
        yield from _of_programs(subject, path, template)


def _of_programs(subject: Subject, path: Path, template: Path) -> Iterator[Finding]:
    try:
        renderer = Renderer(LoadedRecipe(subject.recipe, path, template))
    except RecipeRefused as error:
        yield from error.findings
        return
    programs = Programs(subject, renderer)
    for rule in PROGRAM_RULES:
        yield from rule(programs)


def _of_template(path: Path) -> Iterator[Finding]:
    """Check what can be checked of a template without its recipe."""
    if is_outside(path):
        yield Finding(str(path), 1, 1, "path-outside", OUTSIDE)
        return
    environment = template_environment(path.parents[1])
    try:
        sources = Sources(environment, f"{path.parent.name}/{path.name}")
    except TemplateNotFound as error:
        yield Finding(str(path), 1, 1, "unreadable", str(error.message))
        return
    yield from sources.findings
    for source in sources.sources.values():
        for line, text in broken_rules(source.text, ()):
            yield source.finding("hand-written", line, text)
