"""`ebpf-recipe new`: a recipe and its template to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.recipes_option import Recipes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

SCHEMA_FILE = "recipe.schema.json"


def new_recipe(
    recipe_id: Annotated[str, typer.Argument(metavar="ID", help="Its id: small letters, digits and -.")],
    layer: Annotated[
        str | None, typer.Option(help="Its layer. [default: that of the probe]", show_default=False)
    ] = None,
    one_liner: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="PROGRAM",
            help="A bpftrace one-liner to begin with: 'PROBE /CONDITION/ { @name[KEY] = count(); }'.",
            show_default=False,
        ),
    ] = None,
    directory: Annotated[
        Path, typer.Option(metavar="DIR", readable=False, help="Where DIR/recipes and DIR/templates are.")
    ] = Path(),
    recipes: Recipes = None,
) -> None:
    """Write a recipe and its template to begin with: they lint clean, and run."""
    import orjson

    from runner.cli.output import print_text, say
    from runner.recipe.catalogue import Catalogue
    from runner.recipe.draft import draft_recipe
    from runner.recipe.schema import recipe_schema

    del recipes
    _check(recipe_id, layer, directory)
    draft = draft_recipe(
        recipe_id, one_liner, layer, author=_author(), today=_today(), schema=f"../../{SCHEMA_FILE}"
    )
    catalogue = Catalogue(directory / "recipes", directory / "templates")
    path = catalogue.recipes / draft.layer / f"{recipe_id}.yaml"
    _write({path: draft.recipe, catalogue.template_of(path): draft.template})
    schema = directory / SCHEMA_FILE
    if not schema.exists():
        _write({schema: orjson.dumps(recipe_schema(), option=orjson.OPT_INDENT_2).decode() + "\n"})
    print_text(f"{path}\n{catalogue.template_of(path)}")
    say(
        "next:\n"
        f"  ebpf-recipe lint {directory}\n"
        f"  ebpf-recipe --recipes {directory} run {recipe_id} --dry-run\n"
        f"  sudo ebpf-recipe --recipes {directory} run {recipe_id} -d 5s -f table"
    )


def _check(recipe_id: str, layer: str | None, directory: Path) -> None:
    """Refuse an id that is none, or that a recipe has.

    :raises ValueRefused: Naming what would do, or the recipe that has it.
    """
    import re
    from typing import get_args

    from runner.cli.words import check_word
    from runner.errors import ValueRefused
    from runner.recipe.catalogue import add_directory, recipe_paths
    from runner.recipe.vocabulary import Layer

    check_word("--layer", layer, get_args(Layer))
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", recipe_id):
        near = re.sub(r"[^a-z0-9]+", "-", recipe_id.lower()).strip("-0123456789")[:40]
        raise ValueRefused(
            f"{recipe_id!r} is no id: small letters, digits and -, a letter first, 40 at most",
            hint=f"ebpf-recipe new {near}" if near else None,
        )
    if (directory / "recipes").is_dir():
        add_directory(directory)
    taken = recipe_paths().get(recipe_id)
    if taken is not None:
        raise ValueRefused(f"there is a recipe {recipe_id} already: {taken}")


def _write(texts: Mapping[Path, str]) -> None:
    """Write files that are not there yet: all of them or none.

    :raises ValueRefused: One is there.
    :raises NotWritten: They cannot be written.
    """
    from runner.errors import NotWritten, ValueRefused

    there = [path for path in texts if path.exists() or path.is_symlink()]
    if there:
        raise ValueRefused(f"{' and '.join(map(str, there))} would be overwritten")
    written = []
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise NotWritten(f"{error.filename or next(iter(texts))}: {error.strerror}") from error


def _author() -> str:
    """Return the name of who types this, as the system knows it."""
    import os
    import pwd

    try:
        entry = pwd.getpwuid(os.getuid())
    except KeyError:
        return f"user {os.getuid()}"
    return entry.pw_gecos.partition(",")[0] or entry.pw_name


def _today() -> date:
    from datetime import UTC, datetime

    return datetime.now(UTC).date()
