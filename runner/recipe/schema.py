"""The JSON Schema of recipe files, generated from the model: editors complete and check with it."""

from __future__ import annotations

import ast
import inspect
from typing import Any

from runner.recipe import model, model_cost, model_event, model_given, model_output

SCHEMA_URI = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_ID = "ebpf-recipe/recipe/v1"


def recipe_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) that every recipe file satisfies."""
    schema = model.Recipe.model_json_schema(by_alias=True)
    descriptions = _descriptions()
    for name, part in [("Recipe", schema), *schema.get("$defs", {}).items()]:
        for member, said in descriptions.get(name, {}).items():
            shown = part.get("properties", {}).get(member)
            if shown is not None:
                shown.setdefault("description", said)
    return {"$schema": SCHEMA_URI, "$id": SCHEMA_ID, **schema}


def _descriptions() -> dict[str, dict[str, str]]:
    """Return what the model says below its fields, by class and field."""
    found: dict[str, dict[str, str]] = {}
    modules = (model, model_cost, model_event, model_given, model_output)
    for node in (node for module in modules for node in ast.parse(inspect.getsource(module)).body):
        if not isinstance(node, ast.ClassDef):
            continue
        texts = found.setdefault(node.name, {})
        for member, below in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(member, ast.AnnAssign)
                and isinstance(member.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                texts[member.target.id] = " ".join(str(below.value.value).split())
    return found
