"""Read a recipe file; report every mistake in it at once, as `file:line:col`."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from runner.errors import ValueRefused
from runner.recipe.model import Recipe, location_text

if TYPE_CHECKING:
    from pathlib import Path

_SafeLoader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):  # type: ignore[misc]
    """YAML's safe subset; a mapping that has a key twice is a mistake, not a choice."""


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    mapping: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in mapping:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands twice", key_node.start_mark
            )
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


class LoadedRecipe:
    """A recipe with where it came from.

    :ivar recipe: The typed recipe.
    :ivar path: Its file.
    :ivar template_path: The file of its template.
    :ivar digest: `sha256:` and the digest of both files.
    """

    __slots__ = ("digest", "path", "recipe", "template_path")

    def __init__(self, recipe: Recipe, path: Path, template_path: Path) -> None:
        self.recipe = recipe
        self.path = path
        self.template_path = template_path
        content = hashlib.sha256(path.read_bytes())
        content.update(b"\0")
        content.update(template_path.read_bytes())
        self.digest = f"sha256:{content.hexdigest()}"


def load_recipe(path: Path, template_path: Path) -> LoadedRecipe:
    """Read a recipe and check it against the model.

    :raises ValueRefused: With every mistake, a line each.
    """
    try:
        text = path.read_text()
        loader = _Loader(text)
        node = loader.get_single_node()
        document = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ValueRefused(f"{where}: {error.problem or error.context}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueRefused(f"{path}: {error}") from error
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        lines = [_describe(path, node, details) for details in error.errors(include_url=False)]
        raise ValueRefused("\n".join(lines)) from error
    if recipe.id != path.stem:
        raise ValueRefused(f"{path}: id is {recipe.id!r}, the file is called {path.stem!r}")
    if not template_path.is_file():
        raise ValueRefused(f"{path}: its template {template_path} is missing")
    return LoadedRecipe(recipe, path, template_path)


def _describe(path: Path, node: yaml.Node | None, details: Any) -> str:
    mark = _mark_of(node, details["loc"])
    position = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
    where = location_text(details["loc"])
    message = details["msg"].removeprefix("Value error, ")
    return f"{path}{position}: {where + ': ' if where else ''}{message}"


def _mark_of(node: yaml.Node | None, location: tuple[Any, ...]) -> Any:
    """Walk as far into the document as the location leads and return the place reached."""
    if node is None:
        return None
    mark = node.start_mark
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == part), None)
            if found is None:
                break
            mark, node = found[0].start_mark, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            mark = node.start_mark
        else:
            break
    return mark
