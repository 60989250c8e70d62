"""One YAML file that is one thing with an id: read into its model, or every mistake in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from runner.recipe.model_base import location_text
from runner.recipe.yaml_file import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from runner.recipe.finding import Finding


Model = TypeVar("Model", bound=BaseModel)


def read_model(
    path: Path,
    model: type[Model],
    *,
    shown: Callable[[tuple[Any, ...]], tuple[Any, ...]] = lambda location: location,
) -> Model | list[Finding]:
    """Read one file, which is called by the id in it.

    :param shown: Where in the file an error of the model is, given where the model says that it is.
    """
    file = read_yaml(path)
    if file.findings:
        return list(file.findings)
    try:
        made = model.model_validate(file.document)
    except ValidationError as error:
        return [
            file.finding(
                "model",
                shown(each["loc"]),
                f"{location_text(shown(each['loc']))}: {each['msg'].removeprefix('Value error, ')}".lstrip(
                    ": "
                ),
            )
            for each in error.errors(include_url=False)
        ]
    own_id = getattr(made, "id", None)
    if own_id != path.stem:
        text = f"id is {own_id!r}, the file is called {path.stem!r}"
        return [file.finding("id-file-name", ("id",), text)]
    return made
