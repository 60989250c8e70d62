"""The numbers of runs, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.compare.permutation import Block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.compare.design import Arrangement


def blocks_of(arrangement: Arrangement, sides: Sequence[Sequence[float | None]]) -> list[Block]:
    """Return the numbers of runs by block.

    :param sides: Of each side a number of each run; none is missing.
    """
    return [
        Block(
            tuple(known(sides[0][place]) for place in before),
            tuple(known(sides[1][place]) for place in after),
        )
        for before, after in arrangement.blocks
    ]


def known(value: float | None) -> float:
    """Return a number that is there."""
    assert value is not None, "runs without a number are found before"
    return value
