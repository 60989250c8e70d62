"""How runs were recorded: in blocks of ABBA, or unpaired; one side after the other, or interleaved."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.compare.planning import LEAST_BLOCKS
from runner.compare.runs import in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.compare.runs import RecordedRun

_ABBA = ((False, True, True, False), (True, False, False, True))


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Which runs are compared with which.

    :param blocks: Of each block the runs before and after, by their places; one block where unpaired.
    :param is_interleaved: Runs of both sides took turns; None where it is not known when they were.
    :param order: Of blocks, all runs in the order of their beginning: whether each is of the side after, and
        its place there.
    """

    blocks: Sequence[tuple[Sequence[int], Sequence[int]]]
    is_interleaved: bool | None
    order: Sequence[tuple[bool, int]] = ()

    @property
    def is_in_blocks(self) -> bool:
        """Whether each run is compared with those of its block alone."""
        return len(self.blocks) > 1


def arrange(before: Sequence[RecordedRun], after: Sequence[RecordedRun]) -> Arrangement:
    """Return how two sides were recorded: what the order of their beginnings says, before any number is seen.

    :param before: In the order of their beginning; `after` likewise.
    """
    unpaired = (range(len(before)), range(len(after)))
    if not in_order([*before, *after]):
        return Arrangement([unpaired], None)
    places = [(False, place) for place in range(len(before))] + [(True, place) for place in range(len(after))]
    places.sort(key=lambda each: _began((after if each[0] else before)[each[1]]))
    changes = sum(one[0] != other[0] for one, other in itertools.pairwise(places))
    fours = [places[first : first + 4] for first in range(0, len(places), 4)]
    if len(fours) >= LEAST_BLOCKS and all(tuple(side for side, _ in four) in _ABBA for four in fours):
        blocks = [
            ([place for side, place in four if not side], [place for side, place in four if side])
            for four in fours
        ]
        return Arrangement(blocks, True, places)
    return Arrangement([unpaired], changes > 1)


def _began(run: RecordedRun) -> float:
    assert run.began is not None
    return run.began.timestamp()
