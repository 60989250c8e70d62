"""A recipe and its programs as one digest: a cell that was seen with another is out of date."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.bpftrace.version import features_of
from runner.errors import FeatureMissing
from runner.recipe.catalogue import find_recipe
from runner.recipe.examples import example_values, required_values
from runner.recipe.given import parse_given
from runner.recipe.hosts import distinguishable_hosts
from runner.recipe.render import Renderer

if TYPE_CHECKING:
    from runner.recipe.load import LoadedRecipe

_OF_READERS = {
    "title", "status", "layer", "stage", "symptoms", "description", "author", "date", "references", "primary",
    "supports", "refutes", "caveats", "overhead", "related", "instead",
}  # fmt: skip
"""Members that no program and no table is made of: what they say may change, and what was seen still holds."""


@functools.cache
def digest_of(recipe: str, release: str) -> str:
    """Return the digest of what a recipe declares, and of all its programs.

    The programs are those for hosts that its guards tell apart, with a release of bpftrace: a template's text
    that is for another release, and what is said in it to its readers, may change.
    """
    loaded = find_recipe(recipe)
    members = loaded.recipe.model_dump(mode="json", exclude=_OF_READERS)
    content = hashlib.sha256(json.dumps(members, sort_keys=True).encode())
    for text in sorted(_programs(loaded, release)):
        content.update(f"\0{text}".encode())
    return f"sha256:{content.hexdigest()}"


def _programs(loaded: LoadedRecipe, release: str) -> set[str]:
    renderer = Renderer(loaded)
    bare = parse_given(loaded.recipe, required_values(loaded.recipe))
    given = {**bare, **example_values(loaded.recipe)}
    programs = set()
    for facts in distinguishable_hosts(loaded.recipe):
        host = replace(facts, bpftrace=release, bpftrace_features=features_of(release))
        for values in (bare, given):
            # With this release such a host may have no variant.
            with contextlib.suppress(FeatureMissing):
                programs.add(renderer.render(values, host).text)
    return programs
