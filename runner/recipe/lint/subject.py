"""What the rules look at: one recipe, its template's parts, and its programs for every host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.recipe.examples import example_values, required_values
from runner.recipe.finding import Finding, RecipeRefused
from runner.recipe.given import parse_given
from runner.recipe.hosts import distinguishable_hosts

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from runner.host.facts import HostFacts
    from runner.recipe.model import Recipe
    from runner.recipe.parameters import Value
    from runner.recipe.render import Program, Renderer
    from runner.recipe.templates import Sources
    from runner.recipe.yaml_file import YamlFile


@dataclass(frozen=True, slots=True)
class Subject:
    """A recipe that the model accepts, with its file.

    :param layer: The folder that it stands in.
    :param known_ids: The ids of all recipes there are.
    """

    file: YamlFile
    recipe: Recipe
    layer: str
    known_ids: Collection[str]

    def finding(self, rule: str, location: tuple[Any, ...], text: str) -> Finding:
        """Return a finding at a place of the recipe file."""
        return self.file.finding(rule, location, text)


class Programs:
    """The programs of a recipe: for each host without values, and with an example of each.

    :ivar rendered: What could be rendered, each with its host.
    :ivar without_values: The texts of those without values.
    :ivar findings: What could not.
    """

    def __init__(self, subject: Subject, renderer: Renderer) -> None:
        self.subject = subject
        self.sources: Sources = renderer.sources
        self.rendered: list[tuple[HostFacts, Program]] = []
        self.without_values: list[tuple[HostFacts, str]] = []
        self.findings: list[Finding] = []
        self.examples = example_values(subject.recipe)
        self._defaults = parse_given(subject.recipe, required_values(subject.recipe))
        self._renderer = renderer
        for facts in distinguishable_hosts(subject.recipe):
            bare = self.render({}, facts)
            if bare is not None:
                self.without_values.append((facts, bare.text))
            for program in (bare, self.render(self.examples, facts)):
                if program is not None:
                    self.rendered.append((facts, program))

    def render(self, values: Mapping[str, tuple[Value, ...]], facts: HostFacts) -> Program | None:
        """Return a program; None, and a finding more, where it cannot be rendered.

        :param values: What is given beside the defaults.
        """
        try:
            return self._renderer.render({**self._defaults, **values}, facts)
        except RecipeRefused as error:
            self.findings += [each for each in error.findings if each not in self.findings]
            return None

    def at(self, rule: str, near: str, text: str) -> Finding:
        """Return a finding where a text stands in the templates; at the head of the recipe's own else."""
        for source in self.sources.sources.values():
            place = source.place_of(near) if near else None
            if place is not None:
                return Finding(source.path, *place, rule, text)
        own = self.sources.own
        assert own is not None
        return Finding(own.path, 1, 1, rule, text)
