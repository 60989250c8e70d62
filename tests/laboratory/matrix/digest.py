"""What a recipe's programs are made of, as one digest: a cell that was seen with another is out of date."""

from __future__ import annotations

import functools
import hashlib
import json

from runner.recipe.catalogue import find_recipe
from runner.recipe.render import Renderer

_OF_READERS = {
    "title", "status", "layer", "stage", "symptoms", "description", "author", "date", "references", "primary",
    "supports", "refutes", "caveats", "overhead", "related", "instead",
}  # fmt: skip
"""Members that no program and no table is made of: what they say may change, and what was seen still holds."""


@functools.cache
def digest_of(recipe: str) -> str:
    """Return the digest of a recipe, its template and all that this includes."""
    loaded = find_recipe(recipe)
    members = loaded.recipe.model_dump(mode="json", exclude=_OF_READERS)
    content = hashlib.sha256(json.dumps(members, sort_keys=True).encode())
    for name, source in sorted(Renderer(loaded).sources.sources.items()):
        content.update(f"\0{name}\0{source.text}".encode())
    return f"sha256:{content.hexdigest()}"
