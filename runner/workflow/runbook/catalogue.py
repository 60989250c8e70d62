"""Where runbooks are found: by their file, or by the id of one that is shipped or configured."""

from __future__ import annotations

import difflib
from pathlib import Path

from runner.errors import ValueRefused
from runner.recipe.catalogue import RUNBOOKS, catalogues


def runbook_paths() -> dict[str, Path]:
    """Return the files of all runbooks in catalogues, by id; none is opened.

    :raises ValueRefused: An id stands twice, or a configured directory holds no recipes.
    """
    found: dict[str, Path] = {}
    for catalogue in catalogues():
        for path in sorted((catalogue.recipes / RUNBOOKS).glob("*.yaml")):
            if found.setdefault(path.stem, path) != path:
                raise ValueRefused(f"the runbook {path.stem} stands twice: {found[path.stem]} and {path}")
    return dict(sorted(found.items()))


def find_runbook(named: str) -> Path:
    """Return the file of a runbook.

    :param named: An id, or a path.
    :raises ValueRefused: There is none.
    """
    path = Path(named)
    if path.suffix in (".yaml", ".yml") or "/" in named:
        if not path.exists():
            raise ValueRefused(f"{named}: there is no such file", hint="`ebpf-recipe runbook --list`")
        return path
    known = runbook_paths()
    if named in known:
        return known[named]
    near = difflib.get_close_matches(named, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`ebpf-recipe runbook --list` names them all"
    raise ValueRefused(
        f"there is no runbook {named!r}", hint=f"./{named} is a file" if path.is_file() else hint
    )
