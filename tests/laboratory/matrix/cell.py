"""One cell of the matrix: what came of one recipe in one variant, with one bpftrace on one kernel."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Outcome = Literal["works", "refused", "failed", "not-seen"]
"""It counted the known load; it said that it cannot run here; it ran and that is not so, or did not end; the load
could not be made, or nobody looked."""


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Which cell.

    :param kernel: What the place is called: `host`, `6.12`.
    :param bpftrace: A release.
    :param variant: Of the recipe; of a recipe of functions, the kind of probe.
    """

    kernel: str
    bpftrace: str
    recipe: str
    variant: str


@dataclass(frozen=True, slots=True)
class Cell:
    """What was seen.

    :param digest: Of the recipe and its programs, as they were when it ran.
    :param kernel_release: As `uname -r` says it.
    :param at: When it was seen, in UTC.
    :param seen: What the recipe counted of the load; None where nothing was counted.
    :param expected: What the load did at least.
    :param seconds: How long it took, the load's making included.
    :param reason: Why it does not work, or what the capture says against itself, in one line.
    """

    key: Key
    digest: str
    kernel_release: str
    at: str
    outcome: Outcome
    seen: int | None = None
    expected: int | None = None
    seconds: float = 0.0
    reason: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        fields = asdict(self)
        return {**fields.pop("key"), **fields}


_KEY = ("kernel", "bpftrace", "recipe", "variant")


def key_of(document: dict[str, Any]) -> Key:
    """Return the key of a document."""
    return Key(**{name: document[name] for name in _KEY})


def cell_of(document: dict[str, Any]) -> Cell:
    """Return the cell of a document."""
    return Cell(key_of(document), **{name: value for name, value in document.items() if name not in _KEY})
