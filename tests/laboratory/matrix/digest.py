"""What a recipe's programs are made of, as one digest: a cell that was seen with another is out of date."""

from __future__ import annotations

import functools
import hashlib

from runner.recipe.catalogue import find_recipe
from runner.recipe.render import Renderer


@functools.cache
def digest_of(recipe: str) -> str:
    """Return the digest of a recipe, its template and all that this includes."""
    loaded = find_recipe(recipe)
    content = hashlib.sha256(loaded.digest.encode())
    for name, source in sorted(Renderer(loaded).sources.sources.items()):
        content.update(f"\0{name}\0{source.text}".encode())
    return f"sha256:{content.hexdigest()}"
