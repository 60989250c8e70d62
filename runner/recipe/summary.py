"""What a list of recipes says of each: read without the model, whose making takes longer than a list may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.recipe.catalogue import find_recipe, recipe_paths
from runner.recipe.yaml_file import read_yaml

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the list."""

    id: str
    title: str
    layer: str
    stage: str
    symptoms: tuple[str, ...]
    status: str


def summaries() -> list[Summary]:
    """Return what there is, sorted by id.

    :raises ValueRefused: A recipe has mistakes; all of them are named.
    """
    return [_read(recipe_id, path) for recipe_id, path in sorted(recipe_paths().items())]


def _read(recipe_id: str, path: Path) -> Summary:
    try:
        document: Any = read_yaml(path).document
        texts = [document[name] for name in ("title", "layer", "stage", "status")]
        symptoms = document.get("symptoms", [])
        if document["id"] != recipe_id or not all(isinstance(text, str) for text in [*texts, *symptoms]):
            raise TypeError
    except (LookupError, TypeError, AttributeError):
        # The model says what is wrong, and where.
        recipe = find_recipe(recipe_id).recipe
        return Summary(recipe.id, recipe.title, recipe.layer, recipe.stage, recipe.symptoms, recipe.status)
    title, layer, stage, status = texts
    return Summary(recipe_id, title, layer, stage, tuple(symptoms), status)
