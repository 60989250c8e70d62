"""All findings of all files at once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import TemplateNotFound

from runner.recipe.catalogue import HYPOTHESES, REMEDIES, Catalogue, catalogues
from runner.recipe.finding import Finding, RecipeRefused
from runner.recipe.lint.evidence import evidence
from runner.recipe.lint.files import Selection, select, select_catalogues
from runner.recipe.lint.hypotheses import of_hypothesis, of_remedy
from runner.recipe.lint.outputs import OUTPUT_RULES
from runner.recipe.lint.programs import PROGRAM_RULES
from runner.recipe.lint.subject import Programs, Subject
from runner.recipe.lint.texts import TEXT_RULES
from runner.recipe.load import OUTSIDE, LoadedRecipe, is_outside, read_recipe
from runner.recipe.program_rules import broken_rules
from runner.recipe.render import Renderer, template_environment
from runner.recipe.templates import Sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Report:
    """What lint found.

    :param findings: In the order of their places.
    :param files: How many recipes, includes, hypotheses and remedies were looked at.
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
    known_hypotheses = _named(selection_and_known.values(), HYPOTHESES)
    known_remedies = _named(selection_and_known.values(), REMEDIES)
    for path, catalogue in selection.recipes.items():
        findings.update(_of_recipe(path, catalogue, files_by_id, known_hypotheses))
    for path in selection.hypotheses:
        findings.update(of_hypothesis(path, files_by_id, known_hypotheses, known_remedies))
    for path in selection.remedies:
        findings.update(of_remedy(path, files_by_id, known_remedies))
    for path in selection.includes:
        findings.update(_of_template(path))
    return Report(tuple(sorted(findings)), _count(selection))


def _count(selection: Selection) -> int:
    return sum(map(len, (selection.recipes, selection.includes, selection.hypotheses, selection.remedies)))


def _files_by_id(all_catalogues: Iterable[Catalogue]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for catalogue in all_catalogues:
        for path in catalogue.recipe_files():
            found.setdefault(path.stem, []).append(path)
    return found


def _named(all_catalogues: Iterable[Catalogue], folder: str) -> dict[str, list[Path]]:
    """Return the files of a folder that holds no recipes, by id."""
    found: dict[str, list[Path]] = {}
    for each in all_catalogues:
        for path in sorted((each.recipes / folder).glob("*.yaml")):
            found.setdefault(path.stem, []).append(path)
    return found


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
