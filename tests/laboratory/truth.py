"""Comparisons of what a recipe says with what another mechanism says of the same load."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD = """# What each recipe says, and what is true

Made by `make truth`: every recipe measures a known load, and another mechanism (a counter of the kernel, the load
itself, another tool at the same time) measures the same. Exact means that both sides count the same thing; where they
cannot, the last column says why.

| recipe | what | load | bpftrace | the recipe says | independent | its source | difference | because |
|---|---|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True, order=True)
class Comparison:
    """One number of a recipe and its independent counterpart.

    :param what: Which number, with its unit.
    :param release: Of bpftrace.
    :param because: Why they may differ, where they may.
    """

    recipe: str
    what: str
    load: str
    release: str
    ours: int | float | str
    independent: int | float | str
    source: str
    because: str = ""

    def difference(self) -> str:
        """Return how far the two are apart, as people read it."""
        if isinstance(self.ours, str) or isinstance(self.independent, str):
            return "none" if self.ours == self.independent else "within one bucket"
        if self.ours == self.independent:
            return "none"
        share = abs(self.ours - self.independent) / max(abs(self.independent), 1e-12)
        return f"{self.ours - self.independent:+g} ({share:.2%})"

    def _cells(self) -> tuple[str, ...]:
        return (
            self.recipe,
            self.what,
            self.load,
            self.release,
            _shown(self.ours),
            _shown(self.independent),
            self.source,
            self.difference(),
            self.because,
        )

    def as_row(self) -> str:
        """Return a row of the page."""
        return f"| {' | '.join(self._cells())} |"

    def __str__(self) -> str:
        ours, theirs = _shown(self.ours), _shown(self.independent)
        return (
            f"{self.recipe} {self.release}: {self.what}, {self.load}: "
            f"{ours}; {self.source} {theirs}: {self.difference()}"
        )


def as_page(comparisons: Iterable[Comparison]) -> str:
    """Return the page docs/truth.md."""
    return _HEAD + "".join(f"{comparison.as_row()}\n" for comparison in sorted(comparisons))


def as_json(comparisons: Iterable[Comparison]) -> str:
    """Return comparisons as JSON, to be read elsewhere."""
    return json.dumps([asdict(comparison) for comparison in comparisons], indent=1) + "\n"


def from_json(text: str) -> list[Comparison]:
    """Return the comparisons that `as_json` wrote."""
    return [Comparison(**fields) for fields in json.loads(text)]


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
