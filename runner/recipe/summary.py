"""What a list of recipes says of each: read without the model, whose making takes longer than a list may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.recipe.catalogue import find_recipe, recipe_paths
from runner.recipe.cost import Cost, check_costs, newest
from runner.recipe.yaml_file import read_yaml

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the list.

    :param overhead: The level of what it costs.
    :param cost: What was measured of that with the newest bpftrace; None where nothing was.
    """

    id: str
    title: str
    layer: str
    stage: str
    symptoms: tuple[str, ...]
    status: str
    overhead: str
    cost: Cost | None


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
        level = document["overhead"]["level"]
        costs = [Cost(**{"slowdown": None, **each}) for each in document["overhead"].get("measured", [])]
        check_costs(costs)
        if document["id"] != recipe_id or not all(
            isinstance(text, str) for text in [*texts, level, *symptoms]
        ):
            raise TypeError
        cost = newest(costs)
    except (LookupError, TypeError, AttributeError, ValueError):
        # The model says what is wrong, and where.
        recipe = find_recipe(recipe_id).recipe
        note = recipe.overhead
        return Summary(
            recipe.id, recipe.title, recipe.layer, recipe.stage, recipe.symptoms, recipe.status, note.level,
            newest(Cost(**each.model_dump()) for each in note.measured),
        )  # fmt: skip
    title, layer, stage, status = texts
    return Summary(recipe_id, title, layer, stage, tuple(symptoms), status, level, cost)
