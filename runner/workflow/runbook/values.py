"""What the texts of a runbook can name: parameters, and outputs of the steps before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.capture.percent import in_percent
from runner.errors import ValueRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class OutputOfSkipped(ValueRefused):
    """An output was asked for of a step that was skipped."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A statistic of a capture: two bounds, equal where it is exact; None where one is open."""

    lower: int | float | None
    upper: int | float | None
    unit: str

    def __str__(self) -> str:
        if self.lower is None or self.upper is None:
            bound = self.upper if self.lower is None else self.lower
            side = "at most" if self.lower is None else "at least"
            return "not known" if bound is None else f"{side} {self._shown(bound)}"
        if self.lower == self.upper:
            return self._shown(self.lower)
        return f"{self._shown(self.lower)} to {self._shown(self.upper)}"

    def _shown(self, number: float) -> str:
        if self.unit == "ratio":
            return in_percent(number)
        shown = str(number) if isinstance(number, int) else f"{number:.4g}"
        return f"{shown} {self.unit}".strip()


class Values:
    """Values by name, as templates ask for them: `steps.check.verdict`.

    :param missing: Returns what is raised for a name that has no value.
    """

    __slots__ = ("_missing", "_values")

    def __init__(self, values: Mapping[str, Any], missing: Callable[[str], ValueRefused]) -> None:
        self._values = values
        self._missing = missing

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        name = name.replace("-", "_")
        if name not in self._values:
            raise self._missing(name)
        return self._values[name]
