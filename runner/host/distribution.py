"""Which distribution this is."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Distribution:
    """What os-release says.

    :param name: For people.
    :param ids: Its id, then those of the distributions that it is like.
    """

    name: str
    ids: tuple[str, ...]


def read_distribution(root: Path = Path("/")) -> Distribution:
    """Return which distribution runs below a root; without a name where no file tells it."""
    for path in (root / "etc/os-release", root / "usr/lib/os-release"):
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        fields = {}
        for line in lines:
            name, is_field, value = line.partition("=")
            if is_field and not line.startswith("#"):
                fields[name] = _unquoted(value)
        ids = (fields.get("ID", ""), *fields.get("ID_LIKE", "").split())
        return Distribution(fields.get("PRETTY_NAME", ""), tuple(each for each in ids if each))
    return Distribution("", ())


def _unquoted(value: str) -> str:
    try:
        return " ".join(shlex.split(value))
    except ValueError:
        return value
