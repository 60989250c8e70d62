"""All other rows of a comparison: what seems to have changed among them. They point, and decide nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.compare.exchange import exchanges
from runner.compare.multiplicity import benjamini_hochberg

if TYPE_CHECKING:
    from collections.abc import Sequence

FALSE_DISCOVERIES = 0.05
"""The share of rows that seem to have changed and have not, on average."""

_FIELD_BITS = 64
_VALUE_BITS = 44
"""Room for the sum of a million runs: a field never reaches its top bit."""


@dataclass(frozen=True, slots=True)
class Row:
    """What may be said of one row.

    :param before: The mean of the side, and `after` likewise.
    :param p: Two-sided, of no difference, of this row alone.
    :param adjusted: The false discovery rate at which it would be found among all.
    """

    before: float
    after: float
    p: float
    adjusted: float

    @property
    def is_found(self) -> bool:
        """Whether it stands among those that seem to have changed."""
        return self.adjusted <= FALSE_DISCOVERIES


def explore(
    before: Sequence[Sequence[Sequence[float]]], after: Sequence[Sequence[Sequence[float]]]
) -> list[Row]:
    """Return what the same arrangements of runs say of each row.

    :param before: By block, by run, one number of each row; `after` likewise. At least one row.
    """
    values = _row_p_values(before, after)
    adjusted = benjamini_hochberg(values)
    runs_before = [run for block in before for run in block]
    runs_after = [run for block in after for run in block]
    means = [
        [sum(column) / len(runs) for column in zip(*runs, strict=True)] for runs in (runs_before, runs_after)
    ]
    return [Row(*each) for each in zip(*means, values, adjusted, strict=True)]


def _row_p_values(
    before: Sequence[Sequence[Sequence[float]]], after: Sequence[Sequence[Sequence[float]]]
) -> list[float]:
    """Return the two-sided p of each row.

    All rows travel in one integer, a field of 64 bits each, so that one addition adds all of them:
    hundreds of rows cost little more than one. Values are rounded to 44 bits of the row's range; sums
    that differ by less than this rounding are ties, which makes p greater, if anything.
    """
    packed_before, packed_after, rows, runs = _packed(before, after)
    observed = sum(sum(block) for block in packed_after)
    ones = sum(1 << (_FIELD_BITS * row) for row in range(rows))
    tops = ones << (_FIELD_BITS - 1)
    # A top bit stays where a field is at least what is taken from it.
    at_least = tops - observed + ones * runs
    at_most = tops + observed + ones * runs
    greater = less = drawn = 0
    for left, entered, _ in exchanges(packed_before, packed_after):
        total = observed - left + entered
        greater += ((total + at_least) & tops) >> (_FIELD_BITS - 1)
        less += ((at_most - total) & tops) >> (_FIELD_BITS - 1)
        drawn += 1
    mask = (1 << _FIELD_BITS) - 1
    return [
        min(1.0, 2 * (min((greater >> shift) & mask, (less >> shift) & mask) + 1) / (drawn + 1))
        for shift in range(0, _FIELD_BITS * rows, _FIELD_BITS)
    ]


def _packed(
    before: Sequence[Sequence[Sequence[float]]], after: Sequence[Sequence[Sequence[float]]]
) -> tuple[list[list[int]], list[list[int]], int, int]:
    """Return runs as integers that hold all rows, the number of rows, and of runs."""
    runs = [run for side in (before, after) for block in side for run in block]
    columns = list(zip(*runs, strict=True))
    lows = [min(column) for column in columns]
    scales = [
        (1 << _VALUE_BITS) / (max(column) - low) if max(column) > low else 0.0
        for column, low in zip(columns, lows, strict=True)
    ]

    def pack(run: Sequence[float]) -> int:
        fields = (round((value - low) * scale) for value, low, scale in zip(run, lows, scales, strict=True))
        return int.from_bytes(
            b"".join(field.to_bytes(_FIELD_BITS // 8, "little") for field in fields), "little"
        )

    packed = [[[pack(run) for run in block] for block in side] for side in (before, after)]
    return packed[0], packed[1], len(columns), len(runs)
