"""Which variants a recipe has, and which of them this kernel can run."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.bpftrace.version import find_bpftrace
from runner.host.facts_file import encode_facts
from runner.plan import host_facts
from runner.recipe.catalogue import find_recipe
from runner.recipe.render import holds
from tests.laboratory.known_loads import KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.host.facts import HostFacts
    from runner.recipe.model import Recipe


@functools.cache
def variants_of(recipe: str) -> tuple[str, ...]:
    """Return the variants that have cells of their own: a recipe of functions has one for each kind of probe."""
    return KINDS.get(recipe) or tuple(variant.id for variant in find_recipe(recipe).recipe.variants)


@dataclass(frozen=True, slots=True)
class Standing:
    """What this kernel can run of a recipe whose variants have guards.

    :param possible: Its variants that can run, the one that the runner chooses first.
    :param lacking: What the others lack.
    """

    recipe: Recipe
    facts: HostFacts
    possible: tuple[str, ...]
    lacking: Mapping[str, str]

    def facts_for(self, variant: str) -> bytes:
        """Return this host's facts, less the probes for which the runner would choose an earlier variant."""
        own = next(each for each in self.recipe.variants if each.id == variant)
        kept = {guard.probe for guard in own.when}
        earlier = self.recipe.variants[: self.recipe.variants.index(own)]
        hidden = {guard.probe for each in earlier for guard in each.when} - kept
        probes = {name: None if name in hidden else fields for name, fields in self.facts.probes.items()}
        return encode_facts(dataclasses.replace(self.facts, probes=probes))


def standing(recipe: str, bpftrace: str) -> Standing:
    """Look what this kernel can run of a recipe.

    :raises HostRefused: Nobody can tell, for tracefs is not mounted.
    """
    model = find_recipe(recipe).recipe
    facts = host_facts(model, find_bpftrace(bpftrace))
    lacking = {
        variant.id: next(
            (guard.probe or guard.bpftrace or "" for guard in variant.when if not holds(guard, facts)), ""
        )
        for variant in model.variants
    }
    possible = tuple(name for name, lack in lacking.items() if not lack)
    return Standing(model, facts, possible, {name: lack for name, lack in lacking.items() if lack})
