"""Margins: how large a change may be and still be no change, and effects in words."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from runner.capture.percent import in_percent
from runner.errors import ValueRefused

if TYPE_CHECKING:
    from runner.compare.permutation import Scale

Measure = Literal["ratio", "share", "octaves", "amount"]
"""What an effect is: after over before; a difference of shares, of log2, of anything else in its own unit."""

RELATIVE = 0.10
"""The margin unless another is given: of the mean before."""

SHARE = 0.005
"""The margin of shares unless another is given: half a percentage point."""


@dataclass(frozen=True, slots=True)
class Margin:
    """Effects that are taken for none: those from `lower` to `upper`.

    :param lower: As a ratio 0.9, as a share -0.005, in octaves -0.1375.
    """

    measure: Measure
    lower: float
    upper: float

    @classmethod
    def ratio(cls, relative: float = RELATIVE) -> Margin:
        """Return the margin of a rate: so much of the mean before, to either side."""
        return cls("ratio", 1 - relative, 1 + relative)

    @classmethod
    def share(cls, share: float = SHARE) -> Margin:
        """Return the margin of a share above a threshold."""
        return cls("share", -share, share)

    @classmethod
    def octaves(cls, relative: float = RELATIVE) -> Margin:
        """Return the margin of a mean log2: a factor of 1 + relative either way, whatever the unit.

        A part of the mean itself would mean nothing: the mean log2 of microseconds is 10 less than that of
        nanoseconds.
        """
        return cls("octaves", -math.log2(1 + relative), math.log2(1 + relative))

    @classmethod
    def amount(cls, amount: float) -> Margin:
        """Return a margin in the unit of the value itself."""
        return cls("amount", -amount, amount)

    @property
    def scale(self) -> Scale:
        """Return how its effects are tested."""
        return "ratio" if self.measure == "ratio" else "difference"

    @property
    def no_effect(self) -> float:
        """Return the effect that is none at all."""
        return 1.0 if self.measure == "ratio" else 0.0

    def in_words(self) -> str:
        """Return the margin as people read it."""
        if self.measure == "octaves":
            return f"a factor of {2**self.upper:.3g}"
        return f"±{_size(self.measure, self.upper - self.no_effect)}"

    def effect_in_words(self, effect: float) -> str:
        """Return an effect as people read it."""
        if math.isinf(effect):
            return "from nothing to something"
        if self.measure == "octaves":
            return f"times {2**effect:.3g}"
        change = effect - self.no_effect
        return f"{'-' if change < 0 else '+'}{_size(self.measure, abs(change))}"

    def interval_in_words(self, interval: tuple[float, float]) -> str:
        """Return an interval as people read it."""
        lower, upper = interval
        if math.isinf(lower) and math.isinf(upper):
            return "anything" if lower < upper else "above any multiple"
        if math.isinf(lower):
            return f"{self.effect_in_words(upper)} or less"
        if math.isinf(upper):
            return f"{self.effect_in_words(lower)} or more"
        one, other = self.effect_in_words(lower), self.effect_in_words(upper)
        if self.measure == "octaves":
            return f"{one} to {other.removeprefix('times ')}"
        return f"{one.removesuffix(' percentage points')} to {other}"


def _size(measure: Measure, size: float) -> str:
    if measure == "ratio":
        return in_percent(round(size, 6))
    if measure == "share":
        return f"{in_percent(round(size, 8)).removesuffix('%')} percentage points"
    return f"{size:.4g}"


_WRITTEN = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)(%|pp)")


def parse_margin(text: str) -> Margin:
    """Return the margin that is written as 10% or, of shares, as 0.5pp (percentage points).

    :raises ValueRefused: It is neither, or not between none and all.
    """
    found = _WRITTEN.fullmatch(text.strip())
    size = float(found[1]) / 100 if found is not None else 0.0
    if found is None or not 0 < size < 1:
        raise ValueRefused(
            f"--margin {text!r} is no margin", hint="--margin 10%, or of a share --margin 0.5pp"
        )
    return Margin.share(size) if found[2] == "pp" else Margin.ratio(size)
